"""What one store journals on a busy day, with ids as random as the real ones; the same seed gives the same day."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from heapq import heappop, heappush
from random import Random
from typing import Literal
from uuid import UUID

from engagement.clock.moment import Moment
from engagement.ids import (
    BeaconName,
    CampaignId,
    CashierName,
    CouponId,
    OrderId,
    RedemptionId,
    SubjectId,
    TillName,
    VisitorId,
    ZoneName,
    visitor_subject,
)
from engagement.journal.entry import Entry
from engagement.journal.event import (
    ConsentGiven,
    CouponIssued,
    CouponRedeemed,
    Event,
    Lane,
    OrderRecorded,
    Played,
    PresenceChanged,
    RedemptionRefused,
)
from engagement.journal.tip import EMPTY, extend
from tests.fakes.shop import DAY_MS, NOON_MS

# The letters of a coupon's secret, five bits each.
_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
_ZONES = [ZoneName(zone) for zone in ("entrance", "cafe", "checkout", "menswear", "toys")]
_TAGS = [BeaconName(f"guest-tag-{number}") for number in range(1, 25)] + [BeaconName("lin-keyring")]
_TILLS = [TillName(f"till {number}") for number in (1, 2, 3, 4)]
_CASHIERS = [CashierName(name) for name in ("Li Na", "Wang Fang", "Zhao Min", "Chen Jie", "Liu Yang")]
_MINUTE_S = 60.0

Step = Callable[["_Day"], Iterator[Event]]


class _Day:
    """A day of one box, not a minute of it by the real clock: what is due is done in the order of time."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self._now_s = 0.0
        self._due: list[tuple[float, int, Step]] = []
        self._boot = str(UUID(bytes=random.randbytes(16), version=4))
        self._serial = 217_000

    def after(self, seconds: float, step: Step) -> None:
        heappush(self._due, (self._now_s + seconds, self.random.getrandbits(40), step))

    def events(self) -> Iterator[Event]:
        while self._due:
            self._now_s, _, step = heappop(self._due)
            yield from step(self)

    def now(self) -> Moment:
        """Both clocks cut to milliseconds; the kernel's error bound grows by half a millisecond a second."""
        now_s = self._now_s
        return Moment(
            wall_ms=int(NOON_MS + 1000 * now_s),
            error_ms=5 + int(now_s / 2) % 500,
            boot_id=self._boot,
            boottime_ms=int(3 * DAY_MS + 0.37 + 1000 * now_s * 1.000003),
        )

    def letters(self, count: int) -> str:
        return "".join(self.random.choices(_LETTERS, k=count))

    def issue(self, campaign: str, subject: SubjectId, liability_minor: int) -> CouponIssued:
        self._serial += 1
        now = self.now()
        return CouponIssued(
            moment=now,
            coupon=CouponId(f"{self._serial:06d}-{self.letters(12)}"),
            campaign=CampaignId(campaign),
            edition=1,
            subject=subject,
            liability_minor=liability_minor,
            currency="CNY",
            not_after_ms=(now.wall_ms // 60_000 + 14 * 1440 + 1) * 60_000 - 1,
        )


def store_day(*, seed: int, shoppers: int) -> Iterator[Event]:
    """The events of so many shoppers, of whom one comes every twenty seconds, and of the tags that some carry."""
    day = _Day(Random(seed))
    arrival_s = 0.0
    for _ in range(shoppers):
        arrival_s += day.random.expovariate(1 / 20)
        day.after(arrival_s, _arrive)
        if day.random.random() < 0.25:
            day.after(arrival_s, _carry_tag)
    return day.events()


def lane_entries(lane: Lane, *, seed: int, shoppers: int) -> tuple[Entry, ...]:
    """One lane of such a day, as it stands in the journal."""
    _, entries = extend(EMPTY, store_day(seed=seed, shoppers=shoppers))
    return tuple(entry for entry in entries if entry.lane is lane)


def _arrive(day: _Day) -> Iterator[Event]:
    visitor = VisitorId(day.random.randbytes(10).hex())
    subject = visitor_subject(visitor)
    language = day.random.choices(("zh-Hans", "en"), (9, 1))[0]
    yield ConsentGiven(
        moment=day.now(),
        visitor=visitor,
        analytics=day.random.random() < 0.6,
        marketing=day.random.random() < 0.3,
        language=language,
        text_sha256=sha256(language.encode()).hexdigest(),
    )
    welcome = day.issue("welcome", subject, 2000)
    yield welcome
    _may_pay(day, welcome)
    for number in range(1, day.random.randrange(6) + 1):
        day.after(number * day.random.uniform(8, 90), _play(subject, number))


def _play(subject: SubjectId, number: int) -> Step:
    def step(day: _Day) -> Iterator[Event]:
        won = day.random.random() < 0.4
        yield Played(moment=day.now(), campaign=CampaignId("shake"), subject=subject, play=number, won=won)
        if won:
            coupon = day.issue("shake", subject, 5000)
            yield coupon
            _may_pay(day, coupon)

    return step


def _may_pay(day: _Day, coupon: CouponIssued) -> None:
    if day.random.random() < 0.4:
        day.after(day.random.uniform(5, 70) * _MINUTE_S, _pay(coupon))


def _pay(coupon: CouponIssued) -> Step:
    def step(day: _Day) -> Iterator[Event]:
        till, cashier = day.random.choice(_TILLS), day.random.choice(_CASHIERS)
        if day.random.random() < 0.1:
            yield RedemptionRefused(
                moment=day.now(), reason="below_min_spend", till=till, coupon=coupon.coupon
            )
        order = OrderId(f"p-{day.letters(12)}")
        basket_minor = int(day.random.lognormvariate(9.6, 0.6))
        discount_minor = min(coupon.liability_minor, basket_minor * 15 // 100)
        yield CouponRedeemed(
            moment=day.now(),
            coupon=coupon.coupon,
            campaign=coupon.campaign,
            redemption=RedemptionId(f"r{coupon.coupon[:6]}-{day.letters(10)}"),
            order=order,
            till=till,
            cashier=cashier,
            basket_minor=basket_minor,
            discount_minor=discount_minor,
            currency="CNY",
        )
        if day.random.random() < 0.3:
            yield OrderRecorded(
                moment=day.now(),
                order=order,
                till=till,
                cashier=cashier,
                basket_minor=basket_minor,
                discount_minor=discount_minor,
                currency="CNY",
            )

    return step


def _carry_tag(day: _Day) -> Iterator[Event]:
    tag, stay_s = day.random.choice(_TAGS), day.random.uniform(90, 2400)
    yield _presence(day, tag, "enter", day.random.choice(_ZONES), 0.0)
    day.after(60.0, _tag_step(tag, "dwell", 60.0))
    for _ in range(int(stay_s // 300)):
        day.after(day.random.uniform(60, stay_s), _tag_step(tag, "zone", 0.0))
    # The difference of two readings of a clock of nanoseconds, as Python subtracts them.
    began_s = round(day.random.uniform(1e4, 1e6), 9)
    day.after(stay_s + 30, _tag_step(tag, "leave", round(began_s + stay_s, 9) - began_s))


def _tag_step(tag: BeaconName, change: Literal["dwell", "zone", "leave"], dwell_s: float) -> Step:
    def step(day: _Day) -> Iterator[Event]:
        zone = None if day.random.random() < 0.1 else day.random.choice(_ZONES)
        yield _presence(day, tag, change, zone, dwell_s)

    return step


def _presence(
    day: _Day,
    tag: BeaconName,
    change: Literal["enter", "dwell", "leave", "zone"],
    zone: ZoneName | None,
    dwell_s: float,
) -> Event:
    return PresenceChanged(moment=day.now(), beacon=tag, change=change, zone=zone, dwell_s=dwell_s)
