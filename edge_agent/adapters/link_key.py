"""The key that signs this agent's requests to HQ: made here at the first start of a line, never sent anywhere.

Apart from the key that signs coupons, so that a line can be enrolled anew without a coupon losing its worth.
"""

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.adapters.durable_file import replace_file
from edge_agent.ports import Entropy
from engagement.values import Value

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
    """Read the key file, or make it with mode 0600. Errors: ValueError when it is damaged."""
    if path.exists():
        material = LinkKeyMaterial.model_validate_json(path.read_bytes())
    else:
        material = LinkKeyMaterial(signing_hex=entropy.token(KEY_BYTES).hex())
        replace_file(path, material.model_dump_json().encode())
    return LinkKey(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(material.signing_hex)))
