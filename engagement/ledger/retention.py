"""How long rows are kept, and their clearing. The journal tells the past; rows are for deciding the present."""

from collections.abc import Iterable
from typing import Any, Final

from engagement.campaign.play import PlayRecord
from engagement.clock.moment import Moment
from engagement.coupon.coupon import CouponRecord
from engagement.ledger.record import Key, Record, Rows, Rule, Ruling
from engagement.till.attempt import RequestRecord
from engagement.till.order import OrderRecord
from engagement.visitor.visitor import VisitRecord

_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS

# A coupon's late redemptions elsewhere and its undo are settled by then; its serial may come round again.
SETTLEMENT_HORIZON_MS: Final = 72 * _HOUR_MS
# A till repeats a request within minutes; a month covers one that was switched off over a holiday.
REQUEST_KEPT_MS: Final = 30 * _DAY_MS
ORDER_KEPT_MS: Final = 30 * _DAY_MS
# The visit's key is destroyed within 48 h; its row means nothing after that.
VISIT_KEPT_MS: Final = 48 * _HOUR_MS
# A play is answered the same as long as its page may be open.
PLAY_KEPT_MS: Final = 2 * _DAY_MS

# The kinds that upkeep walks through.
CLEARED: Final[tuple[type[Record], ...]] = (
    CouponRecord,
    RequestRecord,
    OrderRecord,
    VisitRecord,
    PlayRecord,
)


def kept_until_ms(record: Record) -> int | None:
    """The last instant (Unix ms) at which a row can still matter; None for rows that are kept for good."""
    match record:
        case CouponRecord():
            return record.not_after_ms + SETTLEMENT_HORIZON_MS
        case RequestRecord():
            return record.accepted_ms + REQUEST_KEPT_MS
        case OrderRecord():
            return (record.closed_ms or record.opened_ms) + ORDER_KEPT_MS
        case VisitRecord():
            return record.seen_ms + VISIT_KEPT_MS
        case PlayRecord():
            return record.played_ms + PLAY_KEPT_MS
        case _:
            return None


def has_outlived(record: Record, now: Moment) -> bool:
    """Certainly so: a clock in doubt keeps rows."""
    until_ms = kept_until_ms(record)
    return until_ms is not None and now.is_certainly_after(until_ms)


def clear_rule(keys: Iterable[Key[Any]], now: Moment) -> Rule[int]:
    """Delete the rows under these keys that have outlived their use; answers how many."""
    keys = tuple(keys)

    def rule(rows: Rows) -> Ruling[int]:
        gone = tuple(key for key in keys if (row := rows.get(key)) is not None and has_outlived(row, now))
        return Ruling(len(gone), deletes=gone)

    return rule
