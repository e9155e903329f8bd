"""Faults planted on purpose on both sides of the line, from outside the product: what the runs must catch."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import replace
from typing import Any, TypeVar

from cloud_api.ports.rights import Expected, LeaseKey, M
from cloud_api.ports.storage import Intake, LaneKey, MoneyColumns
from edge_agent.ports import Store
from engagement.campaign.state import StopRecord
from engagement.ids import CampaignId
from engagement.journal.tip import LaneTip
from engagement.ledger.record import Key, Record, Rows, Rule, Ruling
from engagement.rights.account import Books
from engagement.rights.lease import LeaseAccount
from tests.simulation.chain.hq import HqBuild, HqDisk
from tests.simulation.chain.run import ChainBuild
from tests.simulation.chain.store import StoreBuild

T = TypeVar("T")
_SILENT_S = 900.0


class _Wrapped:
    """Something whose every other part is the real one's."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


# HQ's faults.


def _unfenced(disk: HqDisk, incarnation: str) -> None:
    disk.rights.file = replace(disk.rights.file.copy(), incarnation=incarnation)


class _NeverFenced(_Wrapped):
    """Grants again at once, whatever a restore has forgotten."""

    async def move(
        self, key: LeaseKey, campaigns: Set[CampaignId], rule: Callable[[Books], M], *, expected: Expected
    ) -> M:
        moved: M = await self._inner.move(key, campaigns, rule, expected=expected)
        self._inner.file.is_fenced = False
        return moved


class _KeepsLater(_Wrapped):
    """Answers that a batch is kept, and keeps it with the next one; a crash in between loses it."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._waiting: dict[LaneKey, Intake] = {}

    async def mark(self, key: LaneKey) -> LaneTip:
        await self._flush(key)
        tip: LaneTip = await self._inner.mark(key)
        return tip

    async def keep(self, intake: Intake) -> None:
        await self._flush(intake.key)
        self._waiting[intake.key] = intake

    async def _flush(self, key: LaneKey) -> None:
        if (waiting := self._waiting.pop(key, None)) is not None:
            await self._inner.keep(waiting)


def _but_last(money: MoneyColumns) -> MoneyColumns:
    return MoneyColumns(money.what, {name: values[:-1] for name, values in money.fields.items()})


def _first(money: MoneyColumns) -> MoneyColumns:
    return MoneyColumns(money.what, {name: values[:1] for name, values in money.fields.items()})


class _LosesLines(_Wrapped):
    async def keep(self, intake: Intake) -> None:
        await self._inner.keep(
            replace(intake, money=[*intake.money[:-1], *map(_but_last, intake.money[-1:])])
        )


class _TakesTwice(_Wrapped):
    """Takes an entry that it has for a new one, now and then."""

    async def keep(self, intake: Intake) -> None:
        await self._inner.keep(replace(intake, money=[*intake.money, *map(_first, intake.money[:1])]))


class _TakesBack(_Wrapped):
    """Takes unused rights back from ledgers that were silent for long."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._heard_s: dict[LeaseKey, float] = {}

    async def move(
        self, key: LeaseKey, campaigns: Set[CampaignId], rule: Callable[[Books], M], *, expected: Expected
    ) -> M:
        now_s = asyncio.get_running_loop().time()
        self._heard_s[key] = now_s
        file = self._inner.file
        for other, heard_s in self._heard_s.items():
            if now_s - heard_s > _SILENT_S:
                for campaign, account in file.accounts.get(other, {}).items():
                    file.accounts[other][campaign] = replace(account, returned=account.granted - account.used)
                    file.outstanding[campaign] -= account.held
        moved: M = await self._inner.move(key, campaigns, rule, expected=expected)
        return moved


class _CreditsTwice(_Wrapped):
    """Adds a return to what is free once more than it came."""

    async def move(
        self, key: LeaseKey, campaigns: Set[CampaignId], rule: Callable[[Books], M], *, expected: Expected
    ) -> M:
        before = dict(self._inner.file.accounts.get(key, {}))
        moved: M = await self._inner.move(key, campaigns, rule, expected=expected)
        for campaign, account in self._inner.file.accounts.get(key, {}).items():
            if campaign in before:
                back = account.returned - before[campaign].returned
                self._inner.file.outstanding[campaign] -= back
        return moved


# An agent's faults.


class _Tampered(_Wrapped):
    """A store that keeps something else than the rule decided."""

    def __init__(self, inner: Store, tamper: Callable[[Ruling[Any]], Ruling[Any]]) -> None:
        super().__init__(inner)
        self._tamper = tamper

    async def decide(self, keys: Iterable[Key[Any]], rule: Rule[T], *, essential: bool = False) -> T:
        def tampered(rows: Rows) -> Ruling[T]:
            return self._tamper(rule(rows))

        answer: T = await self._inner.decide(keys, tampered, essential=essential)
        return answer


class _DoublesLeases(_Wrapped):
    """Every lease looks twice as large as it is to whoever decides."""

    async def decide(self, keys: Iterable[Key[Any]], rule: Rule[T], *, essential: bool = False) -> T:
        asked = tuple(keys)

        def seeing_double(rows: Rows) -> Ruling[T]:
            return rule(Rows({key.address: _doubled(rows.get(key)) for key in asked}))

        answer: T = await self._inner.decide(asked, seeing_double, essential=essential)
        return answer


def _doubled(row: Record | None) -> Record | None:
    if isinstance(row, LeaseAccount):
        return row.model_copy(update={"granted": row.granted + row.granted})
    return row


def _without(kind: type[Record]) -> Callable[[Store], Store]:
    """Rows of a kind are never kept."""

    def drop(ruling: Ruling[Any]) -> Ruling[Any]:
        return replace(ruling, writes=tuple(row for row in ruling.writes if not isinstance(row, kind)))

    return lambda store: _Tampered(store, drop)


def _hq(**parts: Any) -> ChainBuild:
    return ChainBuild(hq=HqBuild(**parts))


def _store(on_store: Any) -> ChainBuild:
    return ChainBuild(store=StoreBuild(on_store=on_store))


MUTANTS: Mapping[str, ChainBuild] = {
    "HQ that is put back without a fence": _hq(on_restore=_unfenced, on_rights=_NeverFenced),
    "HQ that answers before a batch is kept": _hq(on_storage=_KeepsLater),
    "HQ that loses a line of a batch": _hq(on_storage=_LosesLines),
    "HQ that books a line twice": _hq(on_storage=_TakesTwice),
    "HQ that takes rights back after a time": _hq(on_rights=_TakesBack),
    "HQ that credits a return twice": _hq(on_rights=_CreditsTwice),
    "an agent that sees its leases double": _store(_DoublesLeases),
    "an agent that forgets what HQ stopped": _store(_without(StopRecord)),
}
