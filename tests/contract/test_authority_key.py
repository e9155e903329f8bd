"""What HQ asks of its sealing key, of the one in its home and of the fake alike."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from cloud_api.adapters.authority_key import load_authority_key
from cloud_api.adapters.entropy import SystemEntropy
from cloud_api.ports.authority import AuthorityKey
from engagement.ids import AgentName
from tests.fakes.authority_key import MemoryAuthorityKey, certified_by
from tests.fakes.hq_authority import make_root

ROOT = make_root()
AGENT, OTHER = AgentName("harbour-1"), AgentName("park-1")
LINK_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()

Open = Callable[[], AuthorityKey]


@pytest.fixture(params=["memory", "folder"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """The same key, as after a restart."""
    if request.param == "folder":
        return lambda: load_authority_key(tmp_path, SystemEntropy())
    memory = MemoryAuthorityKey()
    return lambda: MemoryAuthorityKey(memory.private, memory.kept) if memory.kept else memory


def test_its_signature_is_its_own(reopen: Open) -> None:
    key = reopen()
    public = Ed25519PublicKey.from_public_bytes(key.public_key)
    public.verify(key.sign(b"sealed"), b"sealed")
    with pytest.raises(InvalidSignature):
        public.verify(key.sign(b"sealed"), b"other")


def test_it_is_certified_once_that_was_kept_and_stays_so(reopen: Open) -> None:
    key = reopen()
    assert key.certified() is None
    for _ in range(2):  # the second takes the place of the first
        certified = certified_by(ROOT, key.public_key)
        key.keep(certified)
        again = reopen()
        assert (key.certified(), again.certified()) == (certified, certified)
        assert again.public_key == key.public_key
        assert again.request_pem


def test_agents_certificates_are_each_their_own_and_the_same_again(reopen: Open) -> None:
    key = reopen()
    authority_pem = certified_by(ROOT, key.public_key).certificate_pem
    one = key.issue(AGENT, LINK_KEY, authority_pem)
    assert one.endswith(authority_pem)
    assert reopen().issue(AGENT, LINK_KEY, authority_pem) == one
    assert key.issue(OTHER, LINK_KEY, authority_pem) != one
    assert key.issue(AGENT, key.public_key, authority_pem) != one
