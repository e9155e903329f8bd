"""The key that signs this agent's requests to HQ: made here at the first start of a line, never sent anywhere.

Apart from the key that signs coupons, so that a line can be enrolled anew without a coupon losing its worth. For the same
reason one of which no copy can be read is set aside and another made: the store works on, and health asks for a new
claim code.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.adapters.kept_twice import KeptDamaged, copies, keep_twice, read_kept
from edge_agent.ports import Entropy
from engagement.values import Value

_LOG = logging.getLogger(__name__)

KEY_BYTES = 32


class LinkKeyMaterial(Value):
    """As kept in the key file, hexadecimal."""

    signing_hex: str


@dataclass(frozen=True)
class LinkKey:
    private: Ed25519PrivateKey

    @property
    def public(self) -> bytes:
        """32 bytes, which HQ keeps."""
        return self.private.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self.private.sign(message)


def load_link_key(path: Path, entropy: Entropy) -> LinkKey:
    """Read the key file, or make it with mode 0600. Errors: OSError."""
    try:
        kept = read_kept(path, _key_of)
    except KeptDamaged:
        _set_aside(path)
        kept = None
    if kept is not None:
        return kept
    content = LinkKeyMaterial(signing_hex=entropy.token(KEY_BYTES).hex()).model_dump_json().encode()
    keep_twice(path, content)
    return _key_of(content)


def _set_aside(path: Path) -> None:
    for each in copies(path):
        if each.exists():
            aside = each.with_name(each.name + ".damaged")
            each.replace(aside)
            _LOG.error("the link key was damaged and is set aside", extra={"file": aside.name})


def _key_of(content: bytes) -> LinkKey:
    """Errors: ValueError when it is no key."""
    material = LinkKeyMaterial.model_validate_json(content)
    return LinkKey(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(material.signing_hex)))
