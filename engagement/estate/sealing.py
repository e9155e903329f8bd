"""A bundle as HQ seals it, with a short proof inside that HQ made it: whose it is and its sequence, sealed by themselves.

An HQ that was put back to an older state has forgotten later bundles, and has to number its next ones above them. It
believes that from whoever has one, by its proof alone: a kilobyte, where the bundle may have megabytes.
"""

from engagement.estate.bundle import Bundle
from engagement.ids import AgentName
from engagement.line.answers import Said
from engagement.line.seal import Authority, Sealed, SealKind, SealRefused, open_seal, seal


class _Numbered(Said):
    agent: str
    sequence: int


def seal_bundle(bundle: Bundle, authority: Authority) -> str:
    """The sealed text, whose field ``proof`` is the other."""
    numbered = _Numbered(agent=bundle.agent, sequence=bundle.sequence)
    proof = seal(SealKind.BUNDLE_NUMBER, numbered.model_dump_json(), authority)
    return seal(SealKind.BUNDLE, bundle.model_dump_json(), authority, proof=proof)


def proof_in(text: str) -> str:
    """That of a sealed bundle; empty where HQ sealed it before there were any."""
    try:
        return Sealed.model_validate_json(text).proof
    except ValueError:
        return ""


def proved_sequence(proof: str, *, root_pem: str, agent: AgentName) -> int:
    """Of a bundle that HQ has sealed for the agent; 0 where this proves none."""
    try:
        numbered = _Numbered.model_validate_json(open_seal(proof, SealKind.BUNDLE_NUMBER, root_pem=root_pem))
    except (SealRefused, ValueError):
        return 0
    return numbered.sequence if numbered.agent == agent else 0
