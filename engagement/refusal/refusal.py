"""A refusal as a value: the reason, and the facts that its sentences speak of."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from engagement.refusal.reason import Reason


@dataclass(frozen=True, slots=True)
class Refusal:
    """Instants stand in ``instants_ms`` (Unix ms) and amounts in ``amounts_minor`` with their currency in
    ``currency``, so that whoever shows it formats them for the reader's place and language."""

    reason: Reason
    words: Mapping[str, str] = field(default_factory=dict)
    instants_ms: Mapping[str, int] = field(default_factory=dict)
    amounts_minor: Mapping[str, int] = field(default_factory=dict)
    currency: str = ""
