"""Where the journal ends, and how it grows: numbering, stamping and chaining of new events, and checking of old ones."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, NewType

from engagement.clock.hybrid import HybridTime, tick
from engagement.journal.entry import CHAIN_START, Entry, chain, encode
from engagement.journal.event import Event, Lane

# 16 hex digits, drawn when a ledger's file is made: numbers of two files can never be taken for each other.
Epoch = NewType("Epoch", str)


class LaneTip(NamedTuple):
    """The last ``seq`` of a lane and the chain's head there; kept although its entry may be deleted."""

    seq: int = 0
    head: bytes = CHAIN_START


@dataclass(frozen=True, slots=True)
class Tip:
    """The end of every lane, and the last stamp of all lanes together."""

    lanes: Mapping[Lane, LaneTip]
    stamp: HybridTime


EMPTY = Tip(lanes=dict.fromkeys(Lane, LaneTip()), stamp=HybridTime(0, 0))


def extend(tip: Tip, events: Iterable[Event]) -> tuple[Tip, tuple[Entry, ...]]:
    """Put events behind the tip, in their order; the stamp of each is greater than of every one before it."""
    lanes = dict(tip.lanes)
    stamp = tip.stamp
    entries = []
    for event in events:
        seq, head = lanes[event.lane]
        body = encode(event)
        stamp = tick(stamp, event.moment.wall_ms)
        entry = Entry(lane=event.lane, seq=seq + 1, stamp=stamp, body=body, head=chain(head, body))
        lanes[event.lane] = LaneTip(entry.seq, entry.head)
        entries.append(entry)
    return replace(tip, lanes=lanes, stamp=stamp), tuple(entries)


def first_break(entries: Iterable[Entry], after: LaneTip) -> Entry | None:
    """The first entry of one lane that does not follow from the one before it; None when all do."""
    seq, head = after
    for entry in entries:
        seq, head = seq + 1, chain(head, entry.body)
        if (entry.seq, entry.head) != (seq, head):
            return entry
    return None


def unconfirmed(tip: Tip, confirmed: Mapping[Lane, int]) -> Mapping[Lane, int]:
    """Entries of each lane behind the last one that HQ confirmed."""
    return {lane: end.seq - confirmed.get(lane, 0) for lane, end in tip.lanes.items()}
