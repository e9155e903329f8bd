"""Hears beacons: advertisements to sightings to presence; a member's dwelling tag brings the welcome-back offer.

The radio only puts into a bounded line; this service empties it at its own pace. Another bundle is followed between two
looks: what it does not change stays present, and a radio that has other receivers now is told.
"""

import asyncio
import logging
from collections import deque

from edge_agent.ports import Radio, RadioLost, StoreFull
from edge_agent.services.backoff import backoff_s
from edge_agent.services.board import Board
from edge_agent.services.issuing import Issuing
from edge_agent.services.premises import Premises
from engagement.advertisement.matching import BeaconIndex
from engagement.advertisement.packet import Advertisement
from engagement.estate.beacon import Beacon
from engagement.estate.bundle import Bundle
from engagement.ids import BeaconName, ZoneName, member_subject
from engagement.journal.event import PresenceChanged
from engagement.ledger.record import Rows, Ruling
from engagement.presence.change import Change, ChangeKind
from engagement.presence.tracker import DWELL_S, PresenceTracker

_LOG = logging.getLogger(__name__)

# Advertisements waiting to be read. A crowded shop makes 2,000 a second; this is ten seconds of that.
WAITING_MAX = 20_000
# How often the line is emptied: well below the half second in which people notice.
_EVERY_S = 0.2
# A radio that has listened this long was not part of the trouble before.
_SETTLED_S = 60.0

_JOURNALED = (ChangeKind.ENTER, ChangeKind.DWELL, ChangeKind.LEAVE, ChangeKind.ZONE)


class Hearing:
    """``listen`` and ``attend`` run side by side until cancelled."""

    def __init__(
        self,
        premises: Premises,
        issuing: Issuing,
        radio: Radio,
        board: Board,
    ) -> None:
        self._premises = premises
        self._issuing = issuing
        self._radio = radio
        self._board = board
        self._bundle = bundle = premises.bundle
        self._beacons = _by_name(bundle)
        self._index = BeaconIndex(bundle.branch.beacons, unix_s=premises.clock.now().wall_ms / 1000)
        self._tracker = PresenceTracker(
            bundle.branch.beacons,
            _receiver_zones(bundle),
            dwell_s=_dwell_thresholds(bundle),
        )
        self._waiting: deque[Advertisement] = deque(maxlen=WAITING_MAX)
        self.heard = 0
        self.matched = 0
        self.dropped = 0
        self.lost_cause: str | None = None

    async def listen(self) -> None:
        """Keep the radio listening: what it cannot cure itself is tried again, ever more slowly."""
        attempt = 0
        while True:
            began_s = self._premises.clock.mono_s()
            try:
                await self._radio.listen(self._take)
            except RadioLost as lost:
                if self.lost_cause != lost.cause:
                    _LOG.warning("radio lost", extra={"radio": self._radio.name, "cause": lost.cause})
                self.lost_cause = lost.cause
            attempt = 1 if self._premises.clock.mono_s() - began_s > _SETTLED_S else attempt + 1
            await asyncio.sleep(backoff_s(attempt, self._premises.entropy.token(1)))

    async def attend(self) -> None:
        """Turn what was heard into presence, and presence into what it leads to."""
        while True:
            await self._catch_up()
            if self._premises.bundle is not self._bundle:
                await self._follow(self._premises.bundle)
            self._board.update(self._tracker.present())
            await asyncio.sleep(_EVERY_S)

    async def _catch_up(self) -> None:
        self._read_waiting()
        self._index.tick(self._premises.clock.now().wall_ms / 1000)
        await self._act_on_changes()

    async def _act_on_changes(self) -> None:
        for change in self._tracker.advance(self._premises.clock.mono_s()):
            await self._act_on(change)

    async def _follow(self, bundle: Bundle) -> None:
        """Hear for another bundle. Those who leave by it are still known while that is told."""
        beacons = bundle.branch.beacons
        self._tracker.renew(beacons, _receiver_zones(bundle), dwell_s=_dwell_thresholds(bundle))
        await self._act_on_changes()
        if beacons != self._bundle.branch.beacons:
            self._index = BeaconIndex(beacons, unix_s=self._premises.clock.now().wall_ms / 1000)
            self._beacons = _by_name(bundle)
            self._board.renew(beacons, self._tracker.present())
        if _adapters(bundle) != _adapters(self._bundle):
            self._radio.retune(_adapters(bundle))
        self._bundle = bundle

    def _take(self, advertisement: Advertisement) -> None:
        if len(self._waiting) == WAITING_MAX:
            self.dropped += 1
        self._waiting.append(advertisement)
        self.lost_cause = None

    def _read_waiting(self) -> None:
        for _ in range(len(self._waiting)):
            sighting = self._index.sight(self._waiting.popleft())
            self.heard += 1
            if sighting is not None:
                self.matched += 1
                self._tracker.hear(sighting)

    async def _act_on(self, change: Change) -> None:
        self._board.note(change)
        # Hanging beacons come and go with their batteries: upkeep, not visits.
        if change.kind not in _JOURNALED or self._beacons[change.beacon].role != "tag":
            return
        await self._journal(change)
        if change.kind is ChangeKind.DWELL:
            await self._welcome_back(change)

    async def _welcome_back(self, change: Change) -> None:
        member = self._beacons[change.beacon].member
        if member is None or change.dwell_s is None:
            return
        for campaign in self._issuing.campaigns_on("welcome_back"):
            trigger = campaign.trigger
            is_there = trigger.zone is None or trigger.zone == change.zone
            if is_there and trigger.dwell_s == change.dwell_s:
                await self._issuing.give(campaign, member_subject(member))

    async def _journal(self, change: Change) -> None:
        event = PresenceChanged(
            moment=self._premises.clock.now(),
            beacon=change.beacon,
            change=change.kind.value,  # type: ignore[arg-type]  # UPKEEP was sorted out before
            zone=change.zone,
            # Radio time is no finer, and fewer digits travel lighter.
            dwell_s=round(change.dwell_s or 0.0, 1),
        )

        def rule(rows: Rows) -> Ruling[None]:
            return Ruling(None, events=(event,))

        try:
            await self._premises.store.decide([], rule)
        except StoreFull:
            _LOG.debug("presence not journaled: the disk is full")


def _by_name(bundle: Bundle) -> dict[BeaconName, Beacon]:
    return {beacon.name: beacon for beacon in bundle.branch.beacons}


def _receiver_zones(bundle: Bundle) -> dict[str, ZoneName]:
    return {receiver.adapter: receiver.zone for receiver in bundle.own_agent.receivers}


def _adapters(bundle: Bundle) -> tuple[str, ...]:
    return tuple(receiver.adapter for receiver in bundle.own_agent.receivers)


def _dwell_thresholds(bundle: Bundle) -> tuple[float, ...]:
    welcoming_back = (campaign for campaign in bundle.campaigns if campaign.trigger.on == "welcome_back")
    return tuple(sorted({*DWELL_S, *(campaign.trigger.dwell_s for campaign in welcoming_back)}))
