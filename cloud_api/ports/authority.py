"""HQ's own sealing key, and what the desk's root said about it."""

from typing import NamedTuple, Protocol

from engagement.ids import AgentName


class Certified(NamedTuple):
    """The authority's certificate, and the root that issued it."""

    certificate_pem: str
    root_pem: str


class AuthorityKey(Protocol):
    """The private part stays where it was made."""

    @property
    def public_key(self) -> bytes:
        """32 bytes of Ed25519."""

    @property
    def request_pem(self) -> str:
        """Asks a root for a certificate (PKCS #10)."""

    def sign(self, message: bytes) -> bytes: ...

    def certified(self) -> Certified | None:
        """What was kept last. None while there is nothing, or only for a key that is gone."""

    def keep(self, certified: Certified) -> None:
        """Durable when this returns. Errors: OSError."""

    def issue(self, agent: AgentName, public_key: bytes, authority_pem: str) -> str:
        """An agent's certificate, then the authority's, as PEM; the same for the same agent, key and authority."""
