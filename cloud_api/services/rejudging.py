"""Judges dead letters again, on command: what HQ can use by now counts, exactly once, and the rest stays with its reason.

A new version of HQ knows events that the one before did not; a branch that was missing may be back. The letters of a
chunk become lines and sums in the transaction that lets them go, so a kill in between loses nothing and doubles nothing.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from cloud_api.ports.storage import KeptLetter, LetterPlace, Rejudged, Storage
from cloud_api.services.bookkeeping import book
from cloud_api.services.estate_view import EstateView
from cloud_api.services.news import News
from engagement.clock.hybrid import HybridTime
from engagement.ids import AgentName
from engagement.journal.entry import CHAIN_START, Entry
from engagement.settlement.funnel import Counts

_LOG = logging.getLogger(__name__)

FIRST = LetterPlace(0, 0)
# Judging this many takes 10 ms, in which nobody else is answered.
CHUNK = 200
# What one request works through: seconds, so that its sender learns how far it came.
LETTERS_MAX = 50_000
# Said of a letter whose branch HQ does not know, for then its day is not known either.
NO_BRANCH = "branch_unknown"


class Judged(NamedTuple):
    """``used`` and ``left`` of ``judged``; ``next``: where to go on, None once all were judged."""

    judged: int
    used: int
    left: int
    next: LetterPlace | None


@dataclass(frozen=True, slots=True)
class LettersPage:
    """``next``: behind the last of these; None when there are no more."""

    letters: Sequence[KeptLetter]
    next: LetterPlace | None


class Rejudging:
    def __init__(self, *, storage: Storage, estate: EstateView, news: News) -> None:
        self._storage = storage
        self._estate = estate
        self._turn = asyncio.Lock()
        self._news = news

    async def page(self, *, agent: AgentName | None, after: LetterPlace = FIRST, limit: int) -> LettersPage:
        found = await self._storage.letters(agent=agent, after=after, limit=limit + 1)
        shown = found[:limit]
        return LettersPage(shown, shown[-1].place if len(found) > limit else None)

    async def judge(
        self, *, agent: AgentName | None, after: LetterPlace = FIRST, letters_max: int = LETTERS_MAX
    ) -> Judged:
        """Of all agents where none is named. Errors: StorageBusy; StorageFailed; what was judged before it stays so."""
        judged = used = 0
        place: LetterPlace | None = after
        while place is not None and judged < letters_max:
            async with self._turn:  # two at once would rule on the same letters
                chunk, used_here = await self._judge_chunk(agent, place, min(CHUNK, letters_max - judged))
            judged, used, place = judged + len(chunk.letters), used + used_here, chunk.next
        _LOG.info("dead letters were judged again", extra={"judged": judged, "used": used})
        return Judged(judged, used, judged - used, place)

    async def _judge_chunk(
        self, agent: AgentName | None, after: LetterPlace, limit: int
    ) -> tuple[LettersPage, int]:
        page = await self.page(agent=agent, after=after, limit=limit)
        rulings = self._ruled(page.letters)
        await self._storage.rejudge(rulings)
        used = sum(len(ruling.used) for ruling in rulings)
        if used:
            self._news.tell()
        return page, used

    def _ruled(self, letters: Sequence[KeptLetter]) -> list[Rejudged]:
        groups = groupby(letters, key=lambda letter: (letter.key, letter.branch))
        return [self._ruled_lane(list(group)) for _, group in groups]

    def _ruled_lane(self, letters: Sequence[KeptLetter]) -> Rejudged:
        """All of one lane and branch."""
        key, branch = letters[0].key, letters[0].branch
        before = {kept.letter.seq: kept.letter.code for kept in letters}
        zone = self._estate.zone(branch)
        if zone is None:
            return Rejudged(key, branch, (), _changed(before, dict.fromkeys(before, NO_BRANCH)), (), Counts())
        booked = book([_entry(kept) for kept in letters], zone)
        after = {letter.seq: letter.code for letter in booked.letters}
        return Rejudged(
            key=key,
            branch=branch,
            used=[seq for seq in before if seq not in after],
            codes=_changed(before, after),
            money=booked.money,
            counts=booked.counts,
        )


def _changed(before: Mapping[int, str], after: Mapping[int, str]) -> list[tuple[int, str]]:
    return [(seq, code) for seq, code in after.items() if code != before[seq]]


def _entry(kept: KeptLetter) -> Entry:
    """As it was journaled, as far as judging looks at it: its stamp and its place in the chain were checked on arrival."""
    return Entry(
        lane=kept.key.lane,
        seq=kept.letter.seq,
        stamp=HybridTime(0, 0),
        body=kept.letter.body,
        head=CHAIN_START,
    )
