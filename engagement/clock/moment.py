"""One reading of a machine's clocks, and what may be concluded from it.

A wall clock in a store may be wrong; ``error_ms`` says by how much at most. Rules therefore ask two questions:
is the instant certainly past, or certainly not yet come? Between the two they decide in the shopper's favour.
"""

from datetime import UTC, datetime, timedelta

from engagement.values import Value

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(Value):
    """A reading of all clocks at once.

    Shape: ``wall_ms`` Unix milliseconds UTC; ``error_ms`` the most that wall_ms may be off, either way;
    ``boot_id`` names the boot that ``boottime_ms`` (milliseconds since it, suspend included) counts from.
    """

    wall_ms: int
    error_ms: int
    boot_id: str
    boottime_ms: int

    @property
    def earliest_ms(self) -> int:
        return self.wall_ms - self.error_ms

    @property
    def latest_ms(self) -> int:
        return self.wall_ms + self.error_ms

    @property
    def at(self) -> datetime:
        """The wall reading as an aware UTC datetime, for showing to people."""
        return from_ms(self.wall_ms)

    def is_certainly_after(self, instant_ms: int) -> bool:
        return self.earliest_ms > instant_ms

    def is_certainly_before(self, instant_ms: int) -> bool:
        return self.latest_ms < instant_ms


def from_ms(instant_ms: int) -> datetime:
    """Unix milliseconds as an aware UTC datetime, exact to the millisecond."""
    return _EPOCH + timedelta(milliseconds=instant_ms)


def to_ms(instant: datetime) -> int:
    """An aware datetime as Unix milliseconds, rounded down. Errors: ValueError when it is naive."""
    if instant.tzinfo is None:
        raise ValueError("a naive datetime names no instant")
    return (instant - _EPOCH) // timedelta(milliseconds=1)


def certainly_elapsed_ms(then: Moment, now: Moment) -> int:
    """The least time that has passed between two moments: exact within a boot, by the clocks' errors across boots."""
    if then.boot_id == now.boot_id:
        return now.boottime_ms - then.boottime_ms
    return max(now.earliest_ms - then.latest_ms, 0)
