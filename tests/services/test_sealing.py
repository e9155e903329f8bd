"""HQ's own key: certified by the desk's root, which stays the one that agents have pinned."""

import pytest

from cloud_api.ports.authority import Certified
from cloud_api.ports.storage import StorageBusy
from cloud_api.services.refused import Refused
from cloud_api.services.sealing import Sealing
from engagement.ids import AgentName
from engagement.line.certificates import root_fingerprint
from engagement.line.seal import SealKind, open_seal, seal
from tests.fakes.authority_key import MemoryAuthorityKey, certified_by
from tests.fakes.hq_authority import Root, make_root
from tests.fakes.hq_leaves import renewed, server_leaf

ROOT, STRANGER, SHALLOW = make_root(), make_root(), make_root(path_length=0)
AGENT = AgentName("harbour-1")


@pytest.fixture
def key() -> MemoryAuthorityKey:
    return MemoryAuthorityKey()


async def certified(key: MemoryAuthorityKey, root: Root = ROOT) -> Sealing:
    sealing = Sealing(key)
    await sealing.certify(certified_by(root, key.public_key), replace_root=False, by="hq")
    return sealing


def test_nothing_is_sealed_before_a_root_vouches_for_it(key: MemoryAuthorityKey) -> None:
    sealing = Sealing(key)
    assert (sealing.authority, sealing.root_pem) == (None, "")
    for ask in (lambda: sealing.issue(AGENT, bytes(32)), lambda: sealing.root_fingerprint):
        with pytest.raises(Refused) as refused:
            ask()
        assert refused.value.code == "not_certified"


async def test_what_is_sealed_then_descends_from_the_root(key: MemoryAuthorityKey) -> None:
    sealing = await certified(key)
    assert sealing.authority is not None
    assert open_seal(seal(SealKind.GRANT, "{}", sealing.authority), SealKind.GRANT, root_pem=ROOT.pem) == "{}"
    assert sealing.root_pem == ROOT.pem
    assert sealing.root_fingerprint == root_fingerprint(ROOT.certificate)
    assert AGENT in sealing.issue(AGENT, bytes(32))


async def test_it_stays_certified_over_a_restart(key: MemoryAuthorityKey) -> None:
    before = await certified(key)
    assert Sealing(key).root_pem == before.root_pem


OTHER_KEY = MemoryAuthorityKey().public_key


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda own: Certified("no certificate", ROOT.pem), "no PEM certificate"),
        (lambda own: certified_by(ROOT, own)._replace(root_pem=""), "no PEM certificate"),
        (lambda own: certified_by(ROOT, OTHER_KEY), "another key"),
        (lambda own: certified_by(ROOT, own)._replace(root_pem=STRANGER.pem), "not issued by the root"),
        (lambda own: certified_by(server_leaf(ROOT), own), "no root"),
        (lambda own: certified_by(ROOT, own, is_authority=False), "none of an authority"),
        (lambda own: certified_by(SHALLOW, own), "path length is 0"),
    ],
)
async def test_another_certificate_is_refused(key: MemoryAuthorityKey, make: object, says: str) -> None:
    assert callable(make)
    sealing = Sealing(key)
    with pytest.raises(Refused, match=says) as refused:
        await sealing.certify(make(key.public_key), replace_root=False, by="hq")
    assert refused.value.code == "certificate_wrong"
    assert sealing.authority is None
    assert key.kept is None


async def test_another_root_is_taken_only_when_it_is_asked_for(key: MemoryAuthorityKey) -> None:
    sealing = await certified(key)
    other = certified_by(STRANGER, key.public_key)
    with pytest.raises(Refused) as refused:
        await sealing.certify(other, replace_root=False, by="hq")
    assert refused.value.code == "root_pinned"
    assert (sealing.root_pem, Sealing(key).root_pem) == (ROOT.pem, ROOT.pem)
    await sealing.certify(other, replace_root=True, by="hq")
    assert (sealing.root_pem, Sealing(key).root_pem) == (STRANGER.pem, STRANGER.pem)


async def test_the_same_root_issued_anew_is_no_other(key: MemoryAuthorityKey) -> None:
    sealing = await certified(key)
    anew = renewed(ROOT)
    assert anew.pem != ROOT.pem
    await sealing.certify(certified_by(anew, key.public_key), replace_root=False, by="hq")
    assert sealing.root_pem == anew.pem
    assert sealing.authority is not None
    assert open_seal(seal(SealKind.GRANT, "{}", sealing.authority), SealKind.GRANT, root_pem=ROOT.pem) == "{}"


async def test_a_certificate_that_cannot_be_kept_does_not_count(key: MemoryAuthorityKey) -> None:
    sealing = Sealing(key)
    key.failure = OSError(28, "No space left on device")
    with pytest.raises(StorageBusy, match="No space"):
        await sealing.certify(certified_by(ROOT, key.public_key), replace_root=False, by="hq")
    assert sealing.authority is None
