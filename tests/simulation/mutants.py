"""Faults planted on purpose, from outside the product: what the simulation must catch, lest it prove nothing."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from edge_agent.adapters.memory_store import Disk
from edge_agent.ports import Store
from engagement.clock.moment import Moment
from engagement.coupon.serials import SERIAL_KEY
from engagement.journal.event import CouponRedeemed, RedemptionUndone
from engagement.ledger.record import Key, Rows, Rule, Ruling
from engagement.till.attempt import Accepted
from tests.simulation.box import Build, KeysOnDisk

T = TypeVar("T")
Tamper = Callable[[Ruling[Any]], Ruling[Any]]


class _Wrapped:
    """A store whose every other part is the real one's."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _Tampered(_Wrapped):
    """A store that keeps something else than the rule decided."""

    def __init__(self, inner: Store, tamper: Tamper) -> None:
        super().__init__(inner)
        self._tamper = tamper

    async def decide(self, keys: Iterable[Key[Any]], rule: Rule[T], *, essential: bool = False) -> T:
        def tampered(rows: Rows) -> Ruling[T]:
            return self._tamper(rule(rows))

        return await self._inner.decide(keys, tampered, essential=essential)


class _AnswersEarly(_Wrapped):
    """A store that answers when the rule has spoken, before anything is on disk."""

    async def decide(self, keys: Iterable[Key[Any]], rule: Rule[T], *, essential: bool = False) -> T:
        early: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def telling(rows: Rows) -> Ruling[T]:
            ruling = rule(rows)
            if not early.done():
                early.set_result(ruling.answer)
            return ruling

        durable = asyncio.ensure_future(self._inner.decide(keys, telling, essential=essential))
        durable.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.wait([early, durable], return_when=asyncio.FIRST_COMPLETED)
        return early.result() if early.done() else durable.result()


class _InTwoSteps(_Wrapped):
    """A store that makes the second half of a ruling durable in another commit."""

    async def decide(self, keys: Iterable[Key[Any]], rule: Rule[T], *, essential: bool = False) -> T:
        rest: list[Ruling[None]] = []

        def first_half(rows: Rows) -> Ruling[T]:
            ruling = rule(rows)
            half = len(ruling.writes) // 2
            rest[:] = [Ruling(None, writes=ruling.writes[half:], events=ruling.events)]
            return replace(ruling, writes=ruling.writes[:half], events=())

        answer = await self._inner.decide(keys, first_half, essential=essential)
        await self._inner.decide([], lambda rows: rest[0], essential=essential)
        return answer


class _NothingEssential(_Wrapped):
    """A store that has forgotten that tills must be served also on a full disk."""

    async def decide(self, keys: Iterable[Key[Any]], rule: Rule[T], *, essential: bool = False) -> T:
        return await self._inner.decide(keys, rule)


class _OnStaleRows(_Wrapped):
    """A store whose rules see the rows as they were when the request came, not when it is decided."""

    async def decide(self, keys: Iterable[Key[Any]], rule: Rule[T], *, essential: bool = False) -> T:
        asked = tuple(keys)
        stale = await self._inner.fetch(asked)
        return await self._inner.decide(asked, lambda rows: rule(stale), essential=essential)


def _tampering(tamper: Tamper) -> Build:
    return Build(on_store=lambda store: _Tampered(store, tamper))


def _forgetting(kind: str) -> Build:
    """Rows of one kind never reach the disk."""
    return _tampering(
        lambda ruling: replace(ruling, writes=tuple(row for row in ruling.writes if row.kind != kind))
    )


def _undo_keeps_redemption(ruling: Ruling[Any]) -> Ruling[Any]:
    if not any(isinstance(event, RedemptionUndone) for event in ruling.events):
        return ruling
    return replace(ruling, writes=tuple(row for row in ruling.writes if row.kind != "coupon"))


def _journal_skips_redemptions(ruling: Ruling[Any]) -> Ruling[Any]:
    kept = tuple(event for event in ruling.events if not isinstance(event, CouponRedeemed))
    return replace(ruling, events=kept)


def _too_much_off(ruling: Ruling[Any]) -> Ruling[Any]:
    answer = ruling.answer
    if isinstance(answer, Accepted):
        return replace(ruling, answer=replace(answer, discount_minor=answer.discount_minor + 1))
    return ruling


def _serials_start_again(disk: Disk, keys: KeysOnDisk) -> None:
    disk.rows.pop(SERIAL_KEY.address, None)


def _day_keys_are_lost(disk: Disk, keys: KeysOnDisk) -> None:
    if keys.ring is not None:
        keys.save(keys.ring.model_copy(update={"today_hex": disk.epoch * 4, "yesterday_hex": None}))


def _journal_loses_its_end(disk: Disk, keys: KeysOnDisk) -> None:
    for entries in disk.journal.values():
        del entries[-1:]


def _clock_is_believed(moment: Moment) -> Moment:
    return moment.model_copy(update={"error_ms": 0})


MUTANTS: Mapping[str, Build] = {
    "acknowledges before the commit": Build(on_store=_AnswersEarly),
    "commits a decision in two steps": Build(on_store=_InTwoSteps),
    "rules on stale rows": Build(on_store=_OnStaleRows),
    "refuses tills on a full disk": Build(on_store=_NothingEssential),
    "does not store request ids": _forgetting("request"),
    "does not store plays": _forgetting("play"),
    "does not count a person's coupons": _forgetting("subject_tally"),
    "does not count a campaign's coupons": _forgetting("campaign_tally"),
    "does not store wallets": _forgetting("wallet"),
    "does not store sheets": _forgetting("sheet_line"),
    "does not store visits": _forgetting("visit"),
    "does not store orders": _forgetting("order"),
    "undoes without giving the coupon back": _tampering(_undo_keeps_redemption),
    "does not journal redemptions": _tampering(_journal_skips_redemptions),
    "tells a discount that was not booked": _tampering(_too_much_off),
    "counts serials anew after a restart": Build(on_start=_serials_start_again),
    "loses the day keys in a restart": Build(on_start=_day_keys_are_lost),
    "loses the end of the journal in a restart": Build(on_start=_journal_loses_its_end),
    "takes its clock for exact": Build(on_moment=_clock_is_believed),
}
