"""Changes what HQ wants: whole or not at all, made against the present revision or refused, one after the other."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from cloud_api.ports.estate import EstateStore
from cloud_api.ports.machine import Clock
from cloud_api.services.estate_view import EstateView
from cloud_api.services.news import News
from cloud_api.services.refused import Refused
from cloud_api.services.registry import Registry
from engagement.estate.changing import Complaints, changed
from engagement.estate.estate import Change, Estate, PutBranch, Step, StopCampaign
from engagement.estate.outline import outline_of
from engagement.ids import AgentName, CampaignId, Label

_LOG = logging.getLogger(__name__)

# Judging so many branches and steps takes some ms; more is done in a thread, for agents and people want answers too.
_AT_ONCE_MAX = 500
# Bodies of 64 MB at most; a slow one holds up no other.
_ARRIVING_MAX = 4
# A chain's change takes hundreds of MB as values; the desk's people take turns.
_ROOM = 1


class ChangeRefused(Exception):
    """The change does not fit the estate; everything that is wrong with it."""

    def __init__(self, complaints: Complaints) -> None:
        super().__init__("; ".join(complaints))
        self.complaints = complaints


class Changing:
    """``arriving``: to be held while a change's body arrives; ``room``: while it is read and applied.

    ``give_back``: returns freed memory to the system; it is called in a thread.
    """

    def __init__(
        self,
        *,
        store: EstateStore,
        estate: EstateView,
        registry: Registry,
        clock: Clock,
        news: News,
        give_back: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._estate = estate
        self._registry = registry
        self._clock = clock
        self._news = news
        self._give_back = give_back
        self._has_waste = False
        self.arriving = asyncio.Semaphore(_ARRIVING_MAX)
        self.room = asyncio.Semaphore(_ROOM)

    async def text(self) -> str:
        """The whole estate as JSON. Errors: StorageFailed."""
        text = await self._store.text()
        self._has_waste |= len(self._estate.branches) > _AT_ONCE_MAX
        return text

    async def apply(self, change: Change, *, by: Label) -> int:
        """The revision that holds all of it. Errors: Refused estate_moved; ChangeRefused; StorageBusy; StorageFailed."""
        self._has_waste |= len(change.steps) > _AT_ONCE_MAX
        async with self._estate.turn:
            revision = self._estate.revision
            if change.base != revision:
                raise Refused(
                    "estate_moved",
                    f"the change was made against revision {change.base}, but the estate is at {revision}; plan again",
                    revision=revision,
                )
            return await self._apply(change.steps, by)

    async def stop(self, campaign: CampaignId, *, honour_issued: bool, by: Label) -> int:
        """Errors: Refused campaign_unknown; StorageBusy; StorageFailed."""

        def steps(estate: Estate) -> Sequence[Step]:
            if all(each.id != campaign for each in estate.campaigns):
                raise Refused("campaign_unknown", f"no campaign {campaign!r} was ever published")
            return (StopCampaign(campaign=campaign, honour_issued=honour_issued),)

        return await self.revise(steps, by=by)

    async def revise(self, steps_for: Callable[[Estate], Sequence[Step]], *, by: Label) -> int:
        """Whatever the revision is: ``steps_for`` gets the estate as it stands, branches as outlines.

        Errors: ChangeRefused; StorageBusy; StorageFailed.
        """
        async with self._estate.turn:
            return await self._apply(tuple(steps_for(self._estate.estate)), by)

    async def raise_above(self, sequence: int, *, proved_by: AgentName) -> None:
        """HQ made a bundle that it does not remember, for it was put back to an older state: the next ones must come later.

        Errors: StorageBusy; StorageFailed.
        """
        async with self._estate.turn:
            estate = self._estate.estate
            if sequence <= estate.revision:
                return
            facts = {"agent": proved_by, "bundle_sequence": sequence, "revision": estate.revision}
            _LOG.warning("an agent's bundle is newer than the estate; its revision is raised", extra=facts)
            revision = sequence + 1
            await self._store.raise_revision(revision)
            self._estate.take(estate.model_copy(update={"revision": revision, "changed": revision}))
            self._news.tell()

    async def _apply(self, steps: Sequence[Step], by: Label) -> int:
        """The turn is ours."""
        put = {step.branch.code for step in steps if isinstance(step, PutBranch)}
        known = {each.branch.code: each for each in await self._store.branches(put)}
        estate = self._estate.estate
        before = estate.model_copy(
            update={"branches": tuple(known.get(each.branch.code, each) for each in estate.branches)}
        )
        numbers = {each.name: each.number for each in self._registry.all()} | await self._numbers()
        now_ms = self._clock.now_ms()

        def judge() -> Estate | Complaints:
            change = Change(base=before.revision, steps=tuple(steps))
            return changed(before, change, numbers=numbers, at_ms=now_ms, by=by)

        is_short = len(before.branches) + len(steps) <= _AT_ONCE_MAX
        after = judge() if is_short else await asyncio.to_thread(judge)
        if not isinstance(after, Estate):
            raise ChangeRefused(after)
        if after is not before:
            await self._store.put(before, after, whole=put)
            branches = tuple(outline_of(each) if each.branch.code in put else each for each in after.branches)
            self._estate.take(after.model_copy(update={"branches": branches}))
            self._news.tell()
            _LOG.info("the estate changed", extra={"revision": after.revision, "steps": len(steps), "by": by})
            if len(put) > _AT_ONCE_MAX:
                # So many outlines, cut out of the whole branches, would lie among them and keep the memory of all in use.
                await asyncio.to_thread(self._give_back)  # what reading the change took, before more is taken
                self._estate.take(await self._store.outline())
        return after.revision

    async def tidy(self) -> None:
        """Give back the memory that a large change or its plan took, once it is over."""
        if self._has_waste and not self._estate.turn.locked():
            self._has_waste = False
            await asyncio.to_thread(self._give_back)

    async def _numbers(self) -> dict[AgentName, int]:
        return dict(await self._store.numbers())
