"""Plans carried out against HQ's own rule: what is kept of secrets when, and when a home's HQ is told of its files."""

from dataclasses import dataclass, field

import pytest

from engagement.estate.branch import Branch
from engagement.estate.estate import Estate
from engagement.estate.planning import Wanted
from engagement.ids import CampaignId
from provisioning.faults import ConfigurationWrong
from provisioning.ports import HqMoved, HqRefused, HqSilent
from provisioning.services.applying import Applying
from provisioning.services.chain_secrets import ChainSecrets, sha256_hex
from provisioning.services.laying_out import LaidOut, LayingOut
from tests.fakes import shop
from tests.fakes.desk_at_hq import EstateAtHq, SecretsInMemory
from tests.fakes.estates import branch

PIER = branch("PIER", "a")


@dataclass
class Mark(LaidOut):
    known: tuple[str, int] = ("", 0)

    def read(self) -> tuple[str, int]:
        return self.known

    def write(self, digest: str, revision: int) -> None:
        self.known = (digest, revision)


@dataclass
class Home:
    """Each start lays out anew what the files say then."""

    hq: EstateAtHq = field(default_factory=EstateAtHq)
    kept: SecretsInMemory = field(default_factory=SecretsInMemory)
    mark: Mark = field(default_factory=Mark)
    said: list[str] = field(default_factory=list)

    def start(self, *branches: Branch, digest: str, campaigns: tuple[str, ...] = ()) -> LayingOut:
        wanted = Wanted(
            branches=branches,
            campaigns=[shop.campaign(id=id, number=number) for number, id in enumerate(campaigns, 1)],
        )
        applying = Applying(self.hq, self.kept, insists=True)
        return LayingOut(applying, wanted, digest, self.mark, "inventory.yaml", self.said.append)


class TestLayingOut:
    async def test_hq_is_told_once_and_asked_no_more(self) -> None:
        home = Home()
        laying_out = home.start(PIER, digest="one", campaigns=("welcome",))
        for _ in range(3):
            await laying_out.lay_out()
        assert home.hq.now.revision == 1
        assert home.hq.asked == 1
        assert home.mark.known == ("one", 1)
        assert home.said == ["HQ is laid out."]

    async def test_what_operators_do_meanwhile_stays_until_the_files_change(self) -> None:
        home = Home()
        await home.start(PIER, digest="one", campaigns=("welcome",)).lay_out()
        await home.hq.stop(CampaignId("welcome"), honour_issued=True)
        other = Applying(home.hq, SecretsInMemory())
        await other.apply(await other.plan(Wanted(branches=[PIER, branch("QUAY", "b")])))
        await home.start(PIER, digest="one", campaigns=("welcome",)).lay_out()
        assert [each.branch.code for each in home.hq.now.branches] == ["PIER", "QUAY"]
        await home.start(PIER, digest="two", campaigns=("welcome",)).lay_out()
        assert [each.branch.code for each in home.hq.now.branches] == ["PIER"]
        assert home.hq.now.stops
        assert home.said[-1] == "HQ now wants what inventory.yaml says:\n  - branch QUAY (Quay)"

    async def test_an_hq_that_lost_all_is_told_again_with_the_same_secrets(self) -> None:
        home = Home()
        await home.start(PIER, digest="one").lay_out()
        before = home.hq.now
        home.hq.now = Estate()
        laying_out = home.start(PIER, digest="one")
        await laying_out.lay_out()
        assert home.hq.now == before
        home.hq.now = Estate()
        await laying_out.lay_out()
        assert home.hq.now == Estate()
        await laying_out.lay_out(is_lost=True)
        assert home.hq.now == before

    async def test_files_that_hq_would_refuse_are_named(self) -> None:
        home = Home()
        await home.start(PIER, digest="one").lay_out()
        renumbered = branch("PIER", agents=[{"name": "a", "number": 9}])
        with pytest.raises(ConfigurationWrong, match=r"inventory\.yaml: agent 'a' has number 1 for good"):
            await home.start(renumbered, digest="two").lay_out()
        assert home.mark.known == ("one", 1)

    async def test_an_open_store_survives_an_hq_that_will_not_have_its_files_again(self) -> None:
        home = Home()
        laying_out = home.start(branch("PIER", agents=[{"name": "a", "number": 9}]), digest="one")
        await laying_out.lay_out()
        home.hq.now = Estate()
        await Home(home.hq).start(PIER, digest="other").lay_out()
        with pytest.raises(HqRefused, match="number 1 for good"):
            await laying_out.lay_out(is_lost=True)

    async def test_a_lost_answer_is_no_second_change(self) -> None:
        home = Home(EstateAtHq(goes_silent=True))
        laying_out = home.start(PIER, digest="one")
        with pytest.raises(HqSilent):
            await laying_out.lay_out()
        await laying_out.lay_out()
        assert home.hq.now.revision == 1
        assert home.mark.known == ("one", 1)


class TestSecrets:
    async def test_those_of_a_refused_change_are_forgotten(self) -> None:
        hq, kept = EstateAtHq(), SecretsInMemory()
        applying = Applying(hq, kept)
        plan = await applying.plan(Wanted(branches=[PIER]))
        await Applying(hq, SecretsInMemory()).apply(
            await applying.plan(Wanted(branches=[branch("QUAY", "b")]))
        )
        with pytest.raises(HqMoved):
            await applying.apply(plan)
        assert kept.known == ChainSecrets()

    async def test_those_of_a_change_whose_answer_was_lost_are_kept(self) -> None:
        hq, kept = EstateAtHq(goes_silent=True), SecretsInMemory()
        applying = Applying(hq, kept)
        with pytest.raises(HqSilent):
            await applying.apply(await applying.plan(Wanted(branches=[PIER])))
        (token,) = kept.known.of(PIER.code).till_tokens.values()
        assert hq.now.branches[0].access.tills[0].token_sha256 == sha256_hex(token)
        assert (await applying.plan(Wanted(branches=[PIER]))).is_empty

    async def test_those_of_what_is_gone_are_forgotten(self) -> None:
        hq, kept = EstateAtHq(), SecretsInMemory()
        applying = Applying(hq, kept)
        await applying.apply(await applying.plan(Wanted(branches=[PIER, branch("QUAY", "b")])))
        assert set(kept.known.branches) == {"PIER", "QUAY"}
        bare = branch("PIER", "a", tills=["till 2"])
        await applying.apply(await applying.plan(Wanted(branches=[bare])))
        assert set(kept.known.branches) == {"PIER"}
        assert set(kept.known.of(PIER.code).till_tokens) == {"till 2"}

    async def test_renewed_ones_are_others_at_both_ends(self) -> None:
        hq, kept = EstateAtHq(), SecretsInMemory()
        applying = Applying(hq, kept)
        await applying.apply(await applying.plan(Wanted(branches=[PIER])))
        before = kept.known.of(PIER.code)
        await applying.apply(await applying.plan(Wanted(branches=[PIER], renewed=frozenset([PIER.code]))))
        after = kept.known.of(PIER.code)
        assert after.till_tokens["till 1"] != before.till_tokens["till 1"]  # type: ignore[index]
        assert after.cashiers != before.cashiers
        (each,) = hq.now.branches
        assert each.access.tills[0].token_sha256 == sha256_hex(after.till_tokens["till 1"])  # type: ignore[index]
        assert [cashier.salt for cashier in each.access.cashiers] == [
            cashier.salt for cashier in after.cashiers.values()
        ]
