"""How many wrong codes a till may send: short codes could be guessed, so guessing is made slow."""

from typing import ClassVar

from engagement.clock.moment import Moment
from engagement.ids import TillName
from engagement.journal.event import RedemptionRefused
from engagement.ledger.record import Key, Record, Rows, Rule, Ruling
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal

# A short code has 10**7 checks per serial: at 5 tries a minute, finding one takes two years on average.
TRIES_MAX = 5
WINDOW_MS = 60_000


class TriesRecord(Record):
    """Keyed by till. ``tried_ms``: boottime of each wrong code within the window, in the boot ``boot_id``."""

    kind: ClassVar[str] = "tries"
    boot_id: str
    tried_ms: tuple[int, ...]


def tries_key(till: TillName) -> Key[TriesRecord]:
    return Key(TriesRecord, till)


def judge_tries(record: TriesRecord | None, now: Moment) -> Refusal | None:
    """Whether the till must wait before it may send another short code."""
    recent = _recent(record, now)
    if len(recent) < TRIES_MAX:
        return None
    wait_ms = recent[-TRIES_MAX] + WINDOW_MS - now.boottime_ms
    return Refusal(Reason.TOO_MANY_TRIES, instants_ms={"again_at": now.wall_ms + wait_ms})


def wrong_code_rule(till: TillName, refusal: Refusal, now: Moment) -> Rule[Refusal]:
    """Count a wrong code and journal it; when there were too many already, say that instead."""

    def rule(rows: Rows) -> Ruling[Refusal]:
        record = rows.get(tries_key(till))
        blocked = judge_tries(record, now)
        if blocked is not None:
            return Ruling(blocked)
        after = TriesRecord(
            id=till, boot_id=now.boot_id, tried_ms=(*_recent(record, now), now.boottime_ms)[-TRIES_MAX:]
        )
        event = RedemptionRefused(moment=now, reason=refusal.reason, till=till, coupon=None)
        return Ruling(refusal, writes=(after,), events=(event,))

    return rule


def _recent(record: TriesRecord | None, now: Moment) -> tuple[int, ...]:
    """A reboot forgets: boottime starts anew, and a till cannot reboot the mini-PC to guess faster than a minute."""
    if record is None or record.boot_id != now.boot_id:
        return ()
    return tuple(tried for tried in record.tried_ms if now.boottime_ms - tried < WINDOW_MS)
