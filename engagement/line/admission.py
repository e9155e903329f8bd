"""What HQ makes of a batch beside the lane's mark: new, known, too early, or from another history.

The mark (the last seq that is durable, and the chain's head there) is all that HQ must remember to take every entry
exactly once, whatever is repeated, cut, or sent in another grouping.
"""

from dataclasses import dataclass

from engagement.journal.batch import Batch
from engagement.journal.entry import Entry
from engagement.journal.tip import LaneTip


@dataclass(frozen=True, slots=True)
class Fresh:
    """These follow the mark; none when the batch ends right at it."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """All of it lies before the mark; it is a repeat if the chain's head at ``seq`` is ``head`` in HQ's copy too."""

    seq: int
    head: bytes


@dataclass(frozen=True, slots=True)
class Gap:
    """Entries are missing in between; ``expected`` is the first of them."""

    expected: int


@dataclass(frozen=True, slots=True)
class Diverged:
    """At ``seq`` the agent's history is another one than HQ's."""

    seq: int


def admit(mark: LaneTip, batch: Batch) -> Fresh | Known | Gap | Diverged:
    """``mark``: of the batch's own agent, lane and epoch; LaneTip() when nothing of it was ever taken."""
    if batch.first_seq > mark.seq + 1:
        return Gap(mark.seq + 1)
    known = mark.seq + 1 - batch.first_seq
    if known > len(batch.entries):
        return Known(batch.entries[-1].seq, batch.last_head)
    head = batch.entries[known - 1].head if known else batch.previous_head
    return Fresh(batch.entries[known:]) if head == mark.head else Diverged(mark.seq)
