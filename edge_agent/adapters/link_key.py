"""The key that signs this agent's requests to HQ: made here at the first start of a line, never sent anywhere.

Apart from the key that signs coupons, so that a line can be enrolled anew without a coupon losing its worth. For the same
reason a damaged one is set aside and another made: the store works on, and health asks for a new claim code.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.adapters.durable_file import replace_file
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
        return _key_of(LinkKeyMaterial.model_validate_json(path.read_bytes()))
    except FileNotFoundError:
        pass
    except ValueError:
        aside = path.with_name(path.name + ".damaged")
        path.replace(aside)
        _LOG.error("the link key was damaged and is set aside", extra={"file": aside.name})
    material = LinkKeyMaterial(signing_hex=entropy.token(KEY_BYTES).hex())
    replace_file(path, material.model_dump_json().encode())
    return _key_of(material)


def _key_of(material: LinkKeyMaterial) -> LinkKey:
    """Errors: ValueError when it is no key."""
    return LinkKey(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(material.signing_hex)))
