"""`beckon plan`, `apply` and `campaign` as real processes against a real cloud."""

import asyncio
import json
import stat
import subprocess
from collections.abc import AsyncIterator
from hashlib import scrypt, sha256
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.cloud_process import CloudHome, cloud, desk
from tests.fakes.operator import Operator


@pytest.fixture
async def hq(tmp_path: Path) -> AsyncIterator[CloudHome]:
    """HQ with an empty estate."""
    home = _home(tmp_path)
    async with cloud(home):
        yield home


def _home(folder: Path) -> CloudHome:
    (folder / "hq").mkdir()
    return CloudHome(folder / "hq", laid_out=None)


@pytest.fixture
def operator(tmp_path: Path, hq: CloudHome) -> Operator:
    return Operator(tmp_path / "desk", hq)


async def run(operator: Operator, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(operator.beckon, *arguments)


async def done(operator: Operator, *arguments: str | Path) -> str:
    """What it says; it must end well."""
    ended = await run(operator, *arguments)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


async def refused(operator: Operator, code: int, *arguments: str | Path) -> str:
    ended = await run(operator, *arguments)
    assert ended.returncode == code, ended.stdout + ended.stderr
    assert ended.stderr
    return ended.stderr


async def estate_of(home: CloudHome) -> Any:
    async with desk(home) as visitor:
        await visitor.sign_in(certify=False)
        status, answer = await visitor.ask("GET", "/v1/estate")
        assert status == 200
        return answer


class TestApply:
    async def test_a_plan_changes_nothing_and_an_apply_makes_it_so_once(self, operator: Operator) -> None:
        told = await done(operator, "plan", operator.inventory)
        assert "+ branch PIER (Pier): 2 zones, 1 beacon, 1 agent (pier-1 number 1), 1 till" in told
        assert (await estate_of(operator.hq))["revision"] == 0
        assert not operator.secrets.exists()
        assert "Done: HQ is at revision 1." in await done(operator, "apply", operator.inventory)
        first = await estate_of(operator.hq)
        assert [each["branch"]["code"] for each in first["branches"]] == ["PIER"]
        assert [each["id"] for each in first["campaigns"]] == ["welcome"]
        assert "Nothing to change" in await done(operator, "apply", operator.inventory)
        assert await estate_of(operator.hq) == first

    async def test_hq_gets_hashes_and_the_desk_keeps_the_secrets(self, operator: Operator) -> None:
        await done(operator, "apply", operator.inventory)
        kept = json.loads(operator.secrets.read_text())
        assert stat.S_IMODE(operator.secrets.stat().st_mode) == 0o600
        token = kept["branches"]["PIER"]["till_tokens"]["till-1"]
        cashier = kept["branches"]["PIER"]["cashiers"]["cashier-1"]
        estate = await estate_of(operator.hq)
        (each,) = estate["branches"]
        assert each["access"]["tills"] == [
            {"name": "till-1", "token_sha256": sha256(token.encode()).hexdigest()}
        ]
        pin = scrypt(
            cashier["pin"].encode(), salt=bytes.fromhex(cashier["salt"]), n=2**14, r=8, p=1, dklen=32
        )
        (known,) = each["access"]["cashiers"]
        assert (known["salt"], known["pin_scrypt"]) == (cashier["salt"], pin.hex())
        code = kept["member_codes"]["m-1"]
        assert all(secret not in json.dumps(estate) for secret in (token, code))

    async def test_only_what_changed_is_told_and_secrets_follow_their_tills(self, operator: Operator) -> None:
        await done(operator, "apply", operator.inventory)
        before = json.loads(operator.secrets.read_text())
        operator.rewrite("zone: cafe", "zone: door")
        operator.rewrite("tills: [till-1]", "tills: [till-1, till-2]")
        told = await done(operator, "apply", operator.inventory)
        assert [line for line in told.splitlines() if line.startswith("  ~")] == [
            "  ~ branch PIER: beacon b-1 moves from cafe to door",
            "  ~ branch PIER: till till-2 is new",
            "  ~ branch PIER: till till-2 gets a token",
        ]
        after = json.loads(operator.secrets.read_text())["branches"]["PIER"]["till_tokens"]
        assert after.pop("till-2") not in ("", None)
        assert after == before["branches"]["PIER"]["till_tokens"]
        operator.rewrite("tills: [till-1, till-2]", "tills: [till-2]")
        await done(operator, "apply", operator.inventory)
        kept = json.loads(operator.secrets.read_text())["branches"]["PIER"]["till_tokens"]
        assert list(kept) == ["till-2"]

    async def test_another_desk_without_the_secrets_leaves_them_in_force(
        self, operator: Operator, tmp_path: Path
    ) -> None:
        await done(operator, "apply", operator.inventory)
        colleague = Operator(tmp_path / "other desk", operator.hq)
        assert "Nothing to change" in await done(colleague, "apply", colleague.inventory)
        assert not colleague.secrets.exists()
        told = await done(colleague, "apply", colleague.inventory, "--renew", "PIER")
        assert "till till-1 gets a new token" in told
        assert "--renew PIER" in await done(operator, "plan", operator.inventory)

    async def test_secrets_stay_where_a_link_leads(self, operator: Operator, tmp_path: Path) -> None:
        """A disk chosen for them, say; and what is wrong with them is not said of the inventory."""
        real = tmp_path / "vault" / "secrets.json"
        real.parent.mkdir()
        real.write_text("{")
        operator.secrets.symlink_to(real)
        told = await refused(operator, 2, "plan", operator.inventory)
        assert told.startswith(f"{operator.secrets} is no file of secrets; move it away")
        real.unlink()
        await done(operator, "apply", operator.inventory)
        assert operator.secrets.is_symlink()
        assert "PIER" in json.loads(real.read_text())["branches"]
        assert real.stat().st_mode & 0o777 == 0o600


class TestPlans:
    async def test_a_plan_made_before_another_change_is_refused_whole(
        self, operator: Operator, tmp_path: Path
    ) -> None:
        kept = operator.folder / "later.plan"
        operator.rewrite("tills: [till-1]", "tills: [till-1, till-2]")
        await done(operator, "plan", operator.inventory, "--out", kept)
        colleague = Operator(tmp_path / "other desk", operator.hq)
        await done(colleague, "apply", colleague.inventory)
        before = await estate_of(operator.hq)
        told = await refused(operator, 1, "apply", kept)
        assert "nothing was changed" in told
        assert "to revision 1; plan again" in told
        assert await estate_of(operator.hq) == before
        # No secret is kept that HQ never heard of.
        assert json.loads(operator.secrets.read_text())["branches"] == {}
        await done(operator, "plan", operator.inventory, "--out", kept)
        told = await done(operator, "apply", kept)
        assert "till-2 gets a token" in told
        assert list(json.loads(operator.secrets.read_text())["branches"]["PIER"]["till_tokens"]) == ["till-2"]

    async def test_a_plan_is_for_the_hq_that_it_was_made_against(self, operator: Operator) -> None:
        kept = operator.folder / "later.plan"
        await done(operator, "plan", operator.inventory, "--out", kept)
        operator.changes["BECKON_HQ_URL"] = "https://127.0.0.1:9"
        assert "was made against HQ at" in await refused(operator, 2, "apply", kept)

    async def test_a_damaged_plan_is_told(self, operator: Operator) -> None:
        kept = operator.folder / "later.plan"
        await done(operator, "plan", operator.inventory, "--out", kept)
        kept.write_bytes(kept.read_bytes()[:-50])
        assert f"{kept}: this plan is damaged" in await refused(operator, 2, "apply", kept)

    async def test_a_plan_that_was_changed_by_hand_is_told(self, operator: Operator) -> None:
        """What people read are its lines, what is carried out its steps; its order and its spaces are nobody's business."""
        kept = operator.folder / "later.plan"
        await done(operator, "plan", operator.inventory, "--out", kept)
        made = json.loads(kept.read_text())
        drop = {"steps": [{"step": "drop_branch", "code": "PIER"}], "lacks": [], "members_lacking": []}
        for changes, told in (
            ({"plan": made["plan"] | {"lines": ["nothing"]}}, "was changed since it was made"),
            ({"plan": made["plan"] | drop}, "was changed since it was made"),
            ({"secrets": "/elsewhere"}, "was changed since it was made"),
            ({"digest": "0"}, "was changed since it was made"),
            ({"version": 2}, "another version of beckon made this plan"),
        ):
            kept.write_text(json.dumps(made | changes))
            assert told in await refused(operator, 2, "apply", kept)
        del made["digest"]
        kept.write_text(json.dumps(made))
        assert "another version of beckon made this plan" in await refused(operator, 2, "apply", kept)
        await done(operator, "plan", operator.inventory, "--out", kept)
        kept.write_text("\ufeff" + json.dumps(json.loads(kept.read_text()), sort_keys=True, indent=8))
        assert "Done: HQ is at revision 1" in await done(operator, "apply", kept)

    async def test_two_operators_at_once_never_half_apply(self, operator: Operator, tmp_path: Path) -> None:
        """Each wants all of a hundred branches otherwise; one of both states is what HQ has in the end, entire."""
        other = Operator(tmp_path / "other desk", operator.hq)
        for each, zone in ((operator, "north"), (other, "south")):
            many = "\n".join(
                f"  - {{name: B{n}, code: B{n}, time_zone: UTC, languages: [en], currency: CNY, zones: [{zone}], "
                f"agents: [{{name: a{n}}}]}}"
                for n in range(100)
            )
            each.inventory.write_text(f"version: 1\nbranches:\n{many}\n")
        outcomes: list[tuple[int, int]] = []
        for _ in range(3):
            both = await asyncio.gather(
                run(operator, "apply", operator.inventory), run(other, "apply", other.inventory)
            )
            estate = await estate_of(operator.hq)
            zones = {zone["name"] for each in estate["branches"] for zone in each["branch"]["zones"]}
            assert len(estate["branches"]) == 100
            assert zones in ({"north"}, {"south"})
            for ended in both:
                assert ended.returncode == 0 or "nothing was changed" in ended.stderr, ended.stderr
            outcomes.append((both[0].returncode, both[1].returncode))
        assert all(0 in codes for codes in outcomes)

    async def test_two_at_one_desk_take_turns(self, operator: Operator) -> None:
        both = await asyncio.gather(*(run(operator, "apply", operator.inventory) for _ in range(2)))
        assert [ended.returncode for ended in both] == [0, 0]
        assert sorted("Nothing to change" in ended.stdout for ended in both) == [False, True]
        kept = json.loads(operator.secrets.read_text())["branches"]["PIER"]["till_tokens"]["till-1"]
        (each,) = (await estate_of(operator.hq))["branches"]
        assert each["access"]["tills"][0]["token_sha256"] == sha256(kept.encode()).hexdigest()


class TestCampaigns:
    async def test_published_terms_need_another_edition(self, operator: Operator) -> None:
        assert "+ campaign welcome" in await done(operator, "campaign", "publish", operator.campaign)
        assert "Nothing to publish" in await done(operator, "campaign", "publish", operator.campaign)
        operator.rewrite("value_minor: 2000", "value_minor: 1000", operator.campaign)
        told = await refused(operator, 2, "campaign", "publish", operator.campaign)
        assert told.startswith(f"{operator.campaign}: campaign 'welcome' changed, but its edition is still 1")
        assert await refused(operator, 2, "plan", operator.inventory) == told, "in its own file there too"
        operator.rewrite("\nedition: 1\n", "\nedition: 2\n", operator.campaign)
        told = await done(operator, "campaign", "publish", operator.campaign)
        assert "~ campaign welcome: edition 2 instead of 1: offer" in told
        assert await done(operator, "campaign", "list") == (
            "welcome\tedition 2\twelcome\trunning\tWelcome to Harbour Street\n"
        )

    async def test_a_stop_is_for_everybody_and_for_good(self, operator: Operator) -> None:
        await done(operator, "apply", operator.inventory)
        assert "still redeemed" in await done(operator, "campaign", "stop", "welcome", "--honour-issued")
        assert "\tstopped\t" in await done(operator, "campaign", "list")
        (stop,) = (await estate_of(operator.hq))["stops"]
        assert (stop["campaign"], stop["honour_issued"], stop["by"]) == ("welcome", True, "hq")
        assert "welcoem" in await refused(operator, 1, "campaign", "stop", "welcoem")
        assert "not redeemed either" in await done(operator, "campaign", "stop", "welcome")
        ended = await run(operator, "campaign", "stop", "welcome", "--honour-issued")
        assert (ended.returncode, "not redeemed either" in ended.stdout) == (1, True)
        assert "came too late" in ended.stderr
        assert "Nothing to change" in await done(operator, "apply", operator.inventory)


class TestHq:
    async def test_mistakes_are_told_before_hq_is_asked(self, operator: Operator) -> None:
        operator.changes["BECKON_HQ_URL"] = "https://127.0.0.1:9"
        operator.rewrite("zone: cafe", "zone: cellar")
        operator.rewrite("time_zone: Asia/Shanghai", "time_zone: Asia")
        for command in ("check", "plan", "apply"):
            told = await refused(operator, 2, command, operator.inventory)
            assert len(told.splitlines()) == 2

    async def test_what_hq_would_refuse_is_told_by_the_plan(self, operator: Operator) -> None:
        await done(operator, "apply", operator.inventory)
        operator.rewrite("{name: pier-1}", "{name: pier-1, number: 7}")
        told = await refused(operator, 2, "plan", operator.inventory)
        assert "agent 'pier-1' has number 1 for good" in told

    @pytest.mark.parametrize(
        ("changes", "arguments", "code", "told"),
        [
            ({"BECKON_HQ_URL": "https://127.0.0.1:9"}, (), 1, "HQ at https://127.0.0.1:9 cannot be reached"),
            ({"BECKON_HQ_CA": "/nowhere.pem"}, (), 2, "--hq-ca is '/nowhere.pem', where no file is"),
            ({"BECKON_HQ_CA": __file__}, (), 2, "which is none; allowed: a certificate in PEM"),
            ({"BECKON_HQ_PASSWORD": ""}, (), 2, "BECKON_HQ_PASSWORD is not set"),
            ({"BECKON_HQ_URL": "http://hq.example"}, (), 2, "allowed: https://HOST"),
            ({"BECKON_HQ_URL": ""}, (), 2, "it is not known which HQ is meant"),
            ({}, ("--home", "nowhere"), 2, "is not the folder of a `beckon up`"),
            ({}, ("--home", "x", "--hq", "https://hq.example"), 2, "both say which HQ"),
            ({}, ("--renew", "QUAY"), 2, "--renew is 'QUAY'"),
            ({}, ("--secrets", "/proc/none/x"), 1, "cannot open the folder /proc/none"),
        ],
    )
    async def test_an_hq_that_cannot_be_asked_is_told(
        self, tmp_path: Path, changes: dict[str, str], arguments: tuple[str, ...], code: int, told: str
    ) -> None:
        operator = Operator(tmp_path / "desk", _home(tmp_path), changes)
        assert told in await refused(operator, code, "apply", operator.inventory, *arguments)

    async def test_an_hq_that_will_not_answer_is_told(self, operator: Operator) -> None:
        operator.changes["BECKON_HQ_PASSWORD"] = "wrong"
        assert "user or password is wrong" in await refused(operator, 1, "apply", operator.inventory)
        operator.changes["BECKON_HQ_CA"] = ""
        told = await refused(operator, 1, "plan", operator.inventory)
        assert "this system vouches for" in told
        assert "name that with --hq-ca" in told

    async def test_damaged_secrets_are_told(self, operator: Operator) -> None:
        operator.secrets.write_text("{}{")
        assert "is no file of secrets" in await refused(operator, 2, "apply", operator.inventory)
