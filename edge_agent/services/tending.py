"""Tends the agent: turns keys, clears outlived rows, opens serials, proves that the store writes, and says how it is."""

import asyncio
import logging
from collections.abc import Callable
from typing import ClassVar, Protocol

from edge_agent.ports import Radio, StoreClosed, StoreFull
from edge_agent.services.hearing import Hearing
from edge_agent.services.line import Line
from edge_agent.services.premises import Premises
from edge_agent.services.rights import Rights
from edge_agent.services.status import Counts, HealthReport, Issue, Status
from edge_agent.services.visit_keys import VisitKeys
from engagement.coupon.coupon import CouponRecord, serial_id
from engagement.coupon.serials import SERIAL_KEY, SERIAL_MIN, SerialRecord, open_block_rule
from engagement.coupon.short_code import SERIAL_MAX
from engagement.journal.event import HealthChanged
from engagement.ledger.group import RecordUnreadable
from engagement.ledger.record import Key, Record, Rows, Ruling
from engagement.ledger.retention import CLEARED, clear_rule

_LOG = logging.getLogger(__name__)

_LOOK_EVERY_S = 5.0
_SWEEP_EVERY_S = 3600.0
# Rows per decision of the sweep: a short transaction, so that no till waits for it.
_SWEEP_PAGE = 200
# A new block of serials is sought when fewer than this are left: a busy store's hour.
_SERIALS_LEFT_MIN = 10_000
_PROBE_S_MAX = 5.0
_HOUR_MS = 3_600_000
# Long enough that a person who reads of it still finds the crowd, or the phone, that caused it.
_TURNED_AWAY_TOLD_S = 300.0
_CERTIFICATE_WARNING_MS = 14 * 24 * _HOUR_MS


class ProbeRecord(Record):
    """Written again and again, to prove that the store still writes."""

    kind: ClassVar[str] = "probe"
    probed_ms: int


class SignOfLife(Protocol):
    """Who is told that the agent is alive; systemd's watchdog."""

    def alive(self) -> None: ...


class GuestCount(Protocol):
    """How full the guests' door is. ``open``: connections now; ``turned_away``: since the start."""

    @property
    def open(self) -> int: ...

    @property
    def turned_away(self) -> int: ...

    @property
    def turned_away_mono_s(self) -> float | None:
        """When it last happened, by the clock's monotonic time; None: never."""


class Tending:
    """Implements ``status.Health``. ``certificate_ends_ms``: Unix ms; ``is_certificate_own``: nobody vouches for it; ``versions``: ours, and the store engine's."""

    def __init__(
        self,
        premises: Premises,
        *,
        keys: VisitKeys,
        radio: Radio,
        hearing: Hearing,
        line: Line,
        rights: Rights,
        life: SignOfLife,
        guests: GuestCount,
        certificate_ends_ms: int,
        versions: tuple[str, str],
        is_certificate_own: bool = False,
    ) -> None:
        self._premises = premises
        self._keys = keys
        self._radio = radio
        self._hearing = hearing
        self._line = line
        self._rights = rights
        self._life = life
        self._guests = guests
        self._certificate_ends_ms = certificate_ends_ms
        self._is_certificate_own = is_certificate_own
        self._versions = versions
        self._since_ms: dict[str, int] = {}
        self._writes = True
        self._said: tuple[Status, tuple[str, ...]] | None = None

    async def run(self) -> None:
        """Look after everything until cancelled."""
        swept_s = self._premises.clock.mono_s()
        while True:
            self._keys.turn_if_due()
            await self._probe()
            await self._open_serials_if_readable()
            await self._say_changes()
            if self._premises.clock.mono_s() - swept_s >= _SWEEP_EVERY_S:
                swept_s = self._premises.clock.mono_s()
                await self.sweep()
            await asyncio.sleep(_LOOK_EVERY_S)

    async def sweep(self) -> int:
        """Clear every row that has outlived its use; answers how many."""
        cleared = 0
        for kind in CLEARED:
            after_id = ""
            while page := await self._premises.store.scan(kind, after_id=after_id, limit=_SWEEP_PAGE):
                after_id = page[-1].id
                keys = [Key(kind, row.id) for row in page]
                rule = clear_rule(keys, self._premises.clock.now())
                cleared += await self._premises.store.decide(keys, rule, essential=True)
        return cleared

    async def _open_serials_if_readable(self) -> None:
        """Without its serials the store gives nothing out; tills go on."""
        try:
            await self.open_serials()
        except RecordUnreadable:
            _LOG.debug("the record of serials cannot be read")

    async def open_serials(self) -> None:
        """Find unused serials before the present block runs out."""
        store = self._premises.store
        now = (await store.fetch([SERIAL_KEY])).get(SERIAL_KEY) or SerialRecord(id=SERIAL_KEY.id)
        if now.left >= _SERIALS_LEFT_MIN:
            return
        start = now.free_until if now.free_until <= SERIAL_MAX else SERIAL_MIN
        taken = await store.scan(CouponRecord, after_id=serial_id(start - 1), limit=1)
        end = taken[0].serial if taken else SERIAL_MAX + 1
        if end == start:
            start, end = await self._gap_after(start)
        if end > start:
            await store.decide([SERIAL_KEY], open_block_rule(now, start, end), essential=True)

    async def _gap_after(self, start: int) -> tuple[int, int]:
        """The first run of unused serials after ``start``, within a page; empty when there is none yet."""
        rows = await self._premises.store.scan(
            CouponRecord, after_id=serial_id(start - 1), limit=_SERIALS_LEFT_MIN
        )
        expected = start
        for row in rows:
            if row.serial > expected:
                return expected, row.serial
            expected = row.serial + 1
        return expected, (expected if expected > SERIAL_MAX else SERIAL_MAX + 1)

    async def _probe(self) -> None:
        """Write one row; only a store that writes lets the watchdog hear from us."""
        row = ProbeRecord(id="probe", probed_ms=self._premises.clock.now().wall_ms)
        try:
            async with asyncio.timeout(_PROBE_S_MAX):
                await self._premises.store.decide(
                    [], lambda rows: Ruling(None, writes=(row,)), essential=True
                )
        except (TimeoutError, StoreFull, StoreClosed) as failure:
            if self._writes:
                _LOG.error("the store does not write", exc_info=failure)
            self._writes = False
        else:
            self._writes = True
            self._life.alive()

    def counts(self) -> Counts:
        hearing = self._hearing
        return Counts(
            adverts_heard=hearing.heard,
            adverts_matched=hearing.matched,
            adverts_dropped=hearing.dropped,
            guests_open=self._guests.open,
            guests_turned_away=self._guests.turned_away,
            rights_left=self._rights.left,
        )

    def report(self) -> HealthReport:
        issues = self._issues()
        failing = {"store_not_writing", "certificate_ended"}
        if any(issue.code in failing for issue in issues):
            status = Status.FAILING
        else:
            status = Status.DEGRADED if issues else Status.OK
        premises = self._premises
        return HealthReport(
            status=status,
            issues=issues,
            backlog=premises.store.backlog(),
            last_sync_ms=self._line.last_contact_ms,
            radio=self._radio.name,
            radio_status=self._radio.status,
            branch=premises.bundle.branch.code,
            agent=premises.bundle.agent,
            version=self._versions[0],
            clock_error_ms=premises.clock.now().error_ms,
            store_version=self._versions[1],
        )

    def _issues(self) -> tuple[Issue, ...]:
        now = self._premises.clock.now()
        found = [(code, means, do) for code, holds, means, do in self._checks() if holds()]
        found += self._rights.troubles() + self._line.troubles(now)
        codes = {code for code, _, _ in found}
        self._since_ms = {code: self._since_ms.get(code, now.wall_ms) for code in sorted(codes)}
        return tuple(Issue(code, self._since_ms[code], means, do) for code, means, do in found)

    def _checks(self) -> list[tuple[str, Callable[[], bool], str, str]]:
        premises, store = self._premises, self._premises.store
        now_ms = premises.clock.now().wall_ms
        radio = self._radio.status
        left_ms = self._certificate_ends_ms - now_ms
        return [
            (
                "store_not_writing",
                lambda: not self._writes,
                "The mini-PC cannot write to its disk: nothing can be issued or redeemed.",
                "Restart the mini-PC; if this comes back, its disk is dying and the box must be replaced.",
            ),
            (
                "store_full",
                lambda: store.is_full,
                "The disk is full: coupons are redeemed, but no new ones are given.",
                "Free space on the mini-PC's disk; giving resumes by itself.",
            ),
            (
                "store_set_aside",
                lambda: store.set_aside is not None,
                f"The ledger was damaged and has been set aside as {store.set_aside}; a new one was begun. Coupons "
                "issued before are refused until HQ has looked at it.",
                "Send the set-aside file to HQ. Do not delete it.",
            ),
            (
                "rows_unreadable",
                lambda: store.unreadable_rows > 0,
                f"{store.unreadable_rows} rows of the ledger cannot be read; what they held is refused, all else works.",
                "Send a copy of the ledger to HQ.",
            ),
            (
                "log_too_long",
                lambda: store.is_log_too_long,
                "Another program holds the ledger open, so its write-ahead log keeps growing.",
                "Close the program that reads the ledger's file.",
            ),
            (
                "radio_lost",
                lambda: not radio.is_listening or self._hearing.lost_cause is not None,
                f"No beacons are heard: {radio.cause or self._hearing.lost_cause or 'the radio does not listen'}.",
                "Check that the Bluetooth adapter is plugged in and that bluetoothd runs; hearing resumes by itself.",
            ),
            (
                "recording_broken",
                lambda: radio.broken_lines > 0,
                f"The recording has lines that cannot be read: {radio.first_broken_line}.",
                "Make the recording again.",
            ),
            (
                "adverts_dropped",
                lambda: self._hearing.dropped > 0,
                f"{self._hearing.dropped} advertisements came faster than they could be read.",
                "Look for a transmitter that floods the air; presence may lag by seconds.",
            ),
            (
                "guests_turned_away",
                self._turns_guests_away,
                f"More connections from phones came than are held open at once: {self._guests.turned_away} were turned "
                "away since the start. Tills are served all the same.",
                "Nothing, if the store is crowded. Otherwise look for a phone or a program on the guest Wi-Fi that "
                "opens connections without end, and have the Wi-Fi block it.",
            ),
            (
                "clock_unsure",
                lambda: premises.clock.now().error_ms > _HOUR_MS,
                "The mini-PC's clock may be wrong by more than an hour: coupons are not refused as expired meanwhile.",
                "Connect the mini-PC to the internet for a minute, or replace its clock battery.",
            ),
            (
                "certificate_own",
                lambda: self._is_certificate_own,
                "The welcome page and the till show a certificate that this mini-PC signed itself: phones and tills warn of it, and "
                "many open nothing.",
                "Put a certificate for the store's name into the settings tls_certificate and tls_key, and restart.",
            ),
            (
                "certificate_ending",
                lambda: 0 < left_ms < _CERTIFICATE_WARNING_MS,
                "The certificate of the welcome page and the till ends within 14 days.",
                "Put a new one where the settings tls_certificate and tls_key say, and restart.",
            ),
            (
                "certificate_ended",
                lambda: left_ms <= 0,
                "The certificate has ended: phones and tills refuse the connection.",
                "Put a new one where the settings tls_certificate and tls_key say, and restart.",
            ),
        ]

    def _turns_guests_away(self) -> bool:
        last_s = self._guests.turned_away_mono_s
        return last_s is not None and self._premises.clock.mono_s() - last_s < _TURNED_AWAY_TOLD_S

    async def _say_changes(self) -> None:
        """Log and journal a change of health once."""
        report = self.report()
        codes = tuple(issue.code for issue in report.issues)
        if self._said == (report.status, codes):
            return
        first, self._said = self._said is None, (report.status, codes)
        if first and report.status is Status.OK:
            return
        _LOG.warning("health changed", extra={"status": report.status.value, "issues": codes})
        event = HealthChanged(moment=self._premises.clock.now(), status=report.status.value, issues=codes)

        def rule(rows: Rows) -> Ruling[None]:
            return Ruling(None, events=(event,))

        try:
            await self._premises.store.decide([], rule)
        except StoreFull:
            _LOG.debug("health change not journaled: the disk is full")
