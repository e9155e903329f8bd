"""An HQ that was put back to an older state numbers its bundles above those that are out, and believes in those by proof alone."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agent.adapters.bundle_file import SealedBundleFile
from edge_agent.adapters.kept_twice import copies
from edge_agent.services.line import Line
from edge_agent.services.premises import Premises
from edge_agent.services.reporting import BundleKeeping, Reporting
from edge_agent.services.status import Status
from engagement.estate.bundle import Bundle
from engagement.estate.bundling import bundle_for
from engagement.estate.sealing import proof_in, proved_sequence, seal_bundle
from engagement.ids import AgentName
from engagement.line.answers import AgentReport
from engagement.line.seal import SealKind, open_seal, seal
from tests.fakes.desk import KeptBundle
from tests.fakes.estates import branch, put
from tests.fakes.hq import AGENT, ESTATE, OTHER, Hq, open_hq
from tests.fakes.hq_authority import make_authority, make_root, make_sealing
from tests.fakes.memory_storage import MemoryStorage
from tests.fakes.premises import open_premises
from tests.fakes.straight_to_hq import StraightToHq, Well
from tests.services.test_reporting import bundle


@pytest.fixture
async def hq() -> Hq:
    return await open_hq(MemoryStorage(), AGENT, OTHER)


def report(sequence: int, proof: str = "", **changes: object) -> AgentReport:
    plain = {"bundle_sequence": sequence, "status": "ok", "backlog": {}, "version": "1", "proof": proof}
    return AgentReport.model_validate(plain | changes)


def sealed(hq: Hq, sequence: int, agent: AgentName = AGENT) -> str:
    """As HQ sealed it before it was put back."""
    bundle = bundle_for(ESTATE, agent)
    authority = hq.sealing.authority
    assert bundle is not None
    assert authority is not None
    return seal_bundle(bundle.model_copy(update={"sequence": sequence}), authority)


async def test_what_is_proved_raises_the_revision_above_it(hq: Hq) -> None:
    answer = await hq.reporting.take(AGENT, report(17))
    assert (answer.bundle_sequence, answer.wants_proof, hq.estate.revision) == (1, True, 1)
    answer = await hq.reporting.take(AGENT, report(17, proof_in(sealed(hq, 17))))
    assert (answer.bundle_sequence, answer.wants_proof, hq.estate.revision) == (18, False, 18)
    assert hq.store.whole.revision == 18
    assert [(await bundle(hq, agent)).sequence for agent in (AGENT, OTHER)] == [18, 18]
    assert await hq.change(*put(branch("LAKE", "lake-1"))) == 19
    assert (await hq.reporting.take(OTHER, report(18))).bundle_sequence == 18
    last = hq.reporting.last(AGENT)
    assert last is not None
    assert last.report.proof == "", "it is of no use any more"


async def test_a_proof_says_how_high_not_whoever_has_it(hq: Hq) -> None:
    """A rogue agent raises nothing beyond the last bundle that it really has."""
    answer = await hq.reporting.take(AGENT, report(2**48 - 1, proof_in(sealed(hq, 17))))
    assert (hq.estate.revision, answer.wants_proof) == (18, True)
    await hq.reporting.take(AGENT, report(2**48 - 1, proof_in(sealed(hq, 17))))
    assert hq.estate.revision == 18


def forgeries(hq: Hq) -> dict[str, str]:
    authority = hq.sealing.authority
    bundle = bundle_for(ESTATE, AGENT)
    assert authority is not None
    assert bundle is not None
    number = f'{{"agent":"{AGENT}","sequence":900}}'
    return {
        "nothing": "",
        "no document": "17",
        "not even JSON inside": seal(SealKind.BUNDLE_NUMBER, "x", authority),
        "another agent's": proof_in(sealed(hq, 900, OTHER)),
        "another root's": seal(SealKind.BUNDLE_NUMBER, number, make_authority(make_root())),
        "something else that HQ sealed": seal(SealKind.GRANT, number, authority),
        "another number under it": proof_in(sealed(hq, 17)).replace("17", "900"),
        "of an older version's bundle": proof_in(seal(SealKind.BUNDLE, bundle.model_dump_json(), authority)),
    }


@pytest.mark.parametrize("what", sorted(forgeries(Hq(MemoryStorage()))))
async def test_what_proves_nothing_raises_nothing(hq: Hq, what: str) -> None:
    answer = await hq.reporting.take(AGENT, report(900, forgeries(hq)[what]))
    assert (answer.bundle_sequence, answer.wants_proof, hq.estate.revision) == (1, True, 1)


async def test_an_hq_that_is_not_certified_believes_nobody() -> None:
    hq = await open_hq(MemoryStorage(), AGENT)
    proof = proof_in(sealed(hq, 17))
    hq.sealing.authority, hq.sealing.root_pem = None, ""
    assert (await hq.reporting.take(AGENT, report(17, proof))).wants_proof
    assert hq.estate.revision == 1


async def test_an_old_report_proves_nothing(hq: Hq) -> None:
    await hq.reporting.take(AGENT, report(1, number=7))
    answer = await hq.reporting.take(AGENT, report(17, proof_in(sealed(hq, 17)), number=3))
    assert (answer.is_old, answer.wants_proof, hq.estate.revision) == (True, False, 1)


def test_the_proof_is_small_and_goes_with_any_authority_of_the_root() -> None:
    root = make_root()
    first, second = make_sealing(root), make_sealing(root)
    bundle = bundle_for(ESTATE, AGENT)
    assert bundle is not None
    assert first.authority is not None
    proof = proof_in(seal_bundle(bundle, first.authority))
    assert len(proof) < 2048
    assert proved_sequence(proof, root_pem=second.root_pem, agent=AGENT) == 1


def agent_of(premises: Premises, line: StraightToHq, keeping: BundleKeeping) -> Reporting:
    root_pem: Callable[[], str] = lambda: line.hq.sealing.root_pem  # noqa: E731  asked anew each time
    return Reporting(
        premises,
        desk=line,
        health=Well(Status.OK),
        keeping=keeping,
        line=Line(premises.clock.now()),
        root_pem=root_pem,
        sealed_by=root_pem(),
    )


async def test_an_agent_shows_what_it_has_and_takes_the_next_bundle_of_an_hq_that_was_put_back(
    hq: Hq,
) -> None:
    line, keeping = StraightToHq(hq), KeptBundle()
    async with open_premises() as premises:
        premises.renew(
            Bundle.model_validate_json(
                open_seal(sealed(hq, 1), SealKind.BUNDLE, root_pem=hq.sealing.root_pem)
            )
        )
        reporting = agent_of(premises, line, keeping)
        await hq.changing.raise_above(40, proved_by=AGENT)
        while await reporting.look() == 0:
            pass
        assert reporting.sequence == 41
        line.hq = await open_hq(MemoryStorage(), AGENT, OTHER)
        line.hq.sealing.root_pem, line.hq.sealing.authority = hq.sealing.root_pem, hq.sealing.authority
        line.sent.clear()
        looks = [await reporting.look() for _ in range(3)]
        assert [pause == 0 for pause in looks] == [True, True, False], "it shows, it fetches, it rests"
        assert [bool(each.proof) for each in line.sent] == [False, True, False]
        assert reporting.sequence == line.hq.estate.revision == 42


@pytest.mark.parametrize("kept", [None, "no document"])
async def test_an_agent_that_cannot_show_it_goes_on_and_asks_no_faster(hq: Hq, kept: str | None) -> None:
    line, keeping = StraightToHq(hq), KeptBundle(kept)
    async with open_premises() as premises:
        reporting = agent_of(premises, line, keeping)
        premises.renew(premises.bundle.model_copy(update={"sequence": 900}))
        assert [await reporting.look() >= 1 for _ in range(3)] == [True] * 3
        assert hq.estate.revision == 1


@pytest.mark.parametrize("damage", [lambda kept: b"", lambda kept: kept.replace(b"HARBOUR", b"harbour", 1)])
async def test_a_copy_that_was_spoilt_meanwhile_is_not_shown_and_leaves_the_other_whole(
    hq: Hq, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    line, path = StraightToHq(hq), tmp_path / "bundle"
    kept = sealed(hq, 900)
    await SealedBundleFile(path).save(kept)
    path.write_bytes(damage(kept.encode()))
    assert path.read_bytes() != kept.encode()
    async with open_premises() as premises:
        premises.renew(premises.bundle.model_copy(update={"sequence": 900}))
        reporting = agent_of(premises, line, SealedBundleFile(path))
        assert await reporting.look() == 0
        assert [each.read_bytes() for each in copies(path)] == [kept.encode()] * 2
        await reporting.look()
    assert [each.proof for each in line.sent][:2] == ["", proof_in(kept)]
