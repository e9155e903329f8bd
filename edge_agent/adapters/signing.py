"""The agent's own keys: made here at the first start, never sent anywhere.

One Ed25519 key signs coupons and receipts; two secrets make subject tags and short codes.
"""

from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from edge_agent.adapters.kept_twice import KeptDamaged, keep_twice, read_kept
from edge_agent.ports import Entropy
from engagement.campaign.issue import Mint
from engagement.values import Value

KEY_BYTES = 32


class KeyMaterial(Value):
    """As kept in the key file, hexadecimal."""

    key_index: int
    signing_hex: str
    tag_hex: str
    short_hex: str


class KeysRefused(Exception):
    """No copy of the agent's keys can be used. New ones are not made by themselves: under them every code that was given out
    would be taken for forged."""

    code = "keys_refused"


@dataclass(frozen=True)
class AgentKeys:
    material: KeyMaterial
    private: Ed25519PrivateKey
    public: Ed25519PublicKey

    def mint(self, *, agent_number: int, lease_number: int) -> Mint:
        """What makes this agent's codes its own."""
        return Mint(
            agent_number=agent_number,
            key_index=self.material.key_index,
            lease_number=lease_number,
            sign=self.private.sign,
            public_key=self.public.public_bytes_raw(),
            tag_key=bytes.fromhex(self.material.tag_hex),
            short_key=bytes.fromhex(self.material.short_hex),
        )

    def verify(self, key_index: int, signed: bytes, signature: bytes) -> bool:
        """Whether this agent's key of that index made the signature."""
        if key_index != self.material.key_index:
            return False
        try:
            self.public.verify(signature, signed)
        except InvalidSignature:
            return False
        return True


def load_keys(path: Path, entropy: Entropy) -> AgentKeys:
    """Read the key file, or make it. Errors: KeysRefused when it is damaged or cannot be read; OSError."""
    try:
        kept = read_kept(path, _keys_of)
    except KeptDamaged as damaged:
        if isinstance(damaged.__cause__, OSError):
            raise KeysRefused(
                f"the keys in {damaged.__cause__.filename} cannot be read ({damaged.__cause__.strerror}): let the agent's user "
                "read them; new ones are not made"
            ) from damaged
        raise KeysRefused(
            f"the keys in {path} are damaged, and so is their spare copy: put them back from a copy of the home, or move "
            "both away to begin with new ones, under which codes given out before are refused"
        ) from damaged
    if kept is not None:
        return kept
    material = KeyMaterial(
        key_index=1,
        signing_hex=entropy.token(KEY_BYTES).hex(),
        tag_hex=entropy.token(KEY_BYTES).hex(),
        short_hex=entropy.token(KEY_BYTES).hex(),
    )
    content = material.model_dump_json().encode()
    keep_twice(path, content)
    return _keys_of(content)


def _keys_of(content: bytes) -> AgentKeys:
    """Errors: ValueError when these are none."""
    material = KeyMaterial.model_validate_json(content)
    for secret_hex in (material.tag_hex, material.short_hex):
        bytes.fromhex(secret_hex)
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(material.signing_hex))
    return AgentKeys(material, private, private.public_key())
