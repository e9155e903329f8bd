"""The real rules under any order of issuing, playing, redeeming, undoing, closing, stopping and wavering clocks.

The machine keeps a view of its own, made of answers alone, and holds the ledger to it after every step.
"""

from collections import Counter, defaultdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from engagement.campaign.model import Campaign
from engagement.campaign.play import (
    DrawDay,
    PlayAnswer,
    PlayRecord,
    PlayRequest,
    play_keys,
    play_rule,
    verify_day,
)
from engagement.campaign.state import stop_key, stop_rule
from engagement.clock.moment import Moment
from engagement.coupon.coupon import CouponRecord
from engagement.coupon.lifecycle import CouponState
from engagement.ids import CouponId, LocalDay, OrderId, RedemptionId, SubjectId, TillName
from engagement.journal.event import CouponIssued, CouponRedeemed, RedemptionUndone
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.till.attempt import UNDO_WINDOW_MS, Accepted, Undone
from engagement.till.order import OrderRecord, OrderReport, close_order_rule, order_key
from engagement.till.sheet import SheetLine
from engagement.visitor.visitor import WalletRecord
from tests.fakes import shop
from tests.fakes.dict_ledger import DictLedger
from tests.fakes.shop import DAY_MS, HOUR_MS, MINUTE_MS, NOON_MS, day_of, moment

ERROR_MS = 5 * MINUTE_MS
WELCOME = shop.campaign(
    budget={"units": 12, "spend_minor": 24_000, "units_per_day": 5},
    limits={"issue": 5, "issue_per_day": 2, "redeem": 2},
    stacking={"group": "welcome", "max_in_group": 2},
)
SHAKE = shop.shake_campaign(
    win_bps=5000,
    budget={"units": 9, "spend_minor": 18_000},
    limits={"issue": 4, "issue_per_day": 2, "plays_per_day": 3},
)
CAMPAIGNS = {campaign.id: campaign for campaign in (WELCOME, SHAKE)}
EVERYBODY = [SubjectId(f"v:{name}") for name in ("anna", "bert", "carl")]
PEOPLE = st.sampled_from(EVERYBODY)
TILLS = st.sampled_from([shop.TILL, shop.OTHER_TILL])
ORDERS = st.sampled_from(["order-1", "order-2", "order-3"])
BASKETS = st.sampled_from([0, 9_999, 10_000, 12_000, 50_000])


class Ledger(RuleBasedStateMachine):
    plays = Bundle("plays")
    accepted = Bundle("accepted")

    @initialize()
    def open(self) -> None:
        self.ledger = DictLedger()
        self.true_ms, self.off_ms, self.boot = NOON_MS, 0, 1
        self.shown: dict[int, CouponRecord] = {}
        self.redeemed: dict[CouponId, RedemptionId] = {}
        self.undone: set[RedemptionId] = set()
        self.issued_on: Counter[tuple[str, SubjectId, LocalDay]] = Counter()
        self.played_on: Counter[tuple[SubjectId, LocalDay]] = Counter()
        self.hard_stops: set[str] = set()
        self.requests = 0

    def now(self) -> Moment:
        return moment(
            self.true_ms + self.off_ms,
            error_ms=ERROR_MS,
            boot=f"boot-{self.boot}",
            ran_ms=self.true_ms - NOON_MS,
        )

    # The world: time passes, the wall clock wavers within its stated error, the box restarts.

    @rule(ms=st.sampled_from([1000, 4 * MINUTE_MS, HOUR_MS, 11 * HOUR_MS, DAY_MS]))
    def time_passes(self, ms: int) -> None:
        self.true_ms += ms

    @rule(off_ms=st.sampled_from([-ERROR_MS, ERROR_MS]) | st.integers(-ERROR_MS, ERROR_MS))
    def clock_jumps(self, off_ms: int) -> None:
        self.off_ms = off_ms

    @rule()
    def reboot(self) -> None:
        self.boot += 1

    # Late, so that it does not spoil the run.
    @precondition(lambda self: self.requests > 25)
    @rule(campaign=st.sampled_from([WELCOME, SHAKE]), honour=st.booleans())
    def stop(self, campaign: Campaign, honour: bool) -> None:
        rule_ = stop_rule(campaign.id, by="boss", honour_issued=honour, now=self.now())
        self.ledger.decide([stop_key(campaign.id)], rule_)
        if not honour:
            self.hard_stops.add(campaign.id)

    # The guest side.

    def show(self, coupon: CouponRecord) -> CouponRecord:
        assert coupon.serial not in self.shown, "a serial is shown once"
        self.shown[coupon.serial] = coupon
        self.issued_on[coupon.campaign, coupon.subject, day_of(self.now())] += 1
        return coupon

    @rule(who=PEOPLE)
    def issue(self, who: SubjectId) -> None:
        answer = shop.give(self.ledger, who, of=WELCOME, now=self.now())
        if isinstance(answer, CouponRecord):
            self.show(answer)

    @rule()
    def a_crowd_comes(self) -> None:
        for who in EVERYBODY * 2:
            self.issue(who)
            self.play(who)

    @rule()
    def a_crowd_comes_while_the_clock_wavers_around_midnight(self) -> None:
        self.true_ms += -self.true_ms % DAY_MS
        for self.off_ms in (-MINUTE_MS, MINUTE_MS, -MINUTE_MS):
            self.a_crowd_comes()

    def _play(self, who: SubjectId, nonce: bytes) -> PlayAnswer | Refusal:
        request = PlayRequest(
            issue=shop.issue_request(who, of=SHAKE, now=self.now()),
            nonce=nonce,
            fresh_seed=f"{self.true_ms:032d}".encode(),
        )
        return self.ledger.decide(play_keys(request), play_rule(request, shop.MINT))

    @rule(target=plays, who=PEOPLE)
    def play(self, who: SubjectId) -> object:
        self.requests += 1
        nonce = self.requests.to_bytes(16, "big")
        answer = self._play(who, nonce)
        if isinstance(answer, Refusal):
            return multiple()
        self.played_on[who, day_of(self.now())] += 1
        if answer.coupon is not None:
            self.show(answer.coupon)
        return who, nonce, answer.record

    @rule(play=plays)
    def play_again(self, play: tuple[SubjectId, bytes, PlayRecord]) -> None:
        who, nonce, record = play
        assert self._play(who, nonce) == PlayAnswer(record, None)

    # The tills.

    def _redeem(self, coupon: CouponRecord, request: str, **how: object) -> Accepted | Undone | Refusal:
        return shop.redeem(self.ledger, coupon, request=request, now=self.now(), **how)  # type: ignore[arg-type]

    @rule(target=accepted, who=st.data(), till=TILLS, order=ORDERS, basket_minor=BASKETS)
    def redeem(self, who: st.DataObject, till: str, order: str, basket_minor: int) -> object:
        if not self.shown:
            return multiple()
        coupon = self.shown[who.draw(st.sampled_from(sorted(self.shown)))]
        self.requests += 1
        request = f"request-{self.requests}"
        answer = self._redeem(coupon, request, till=till, order=order, basket_minor=basket_minor)
        assert not isinstance(answer, Undone)
        if isinstance(answer, Refusal):
            return multiple()
        assert coupon.coupon not in self.redeemed, "redeemed twice"
        self.redeemed[coupon.coupon] = answer.redemption
        return request, till, answer, self.now()

    @rule(done=accepted, order=ORDERS, basket_minor=BASKETS)
    def redeem_again(self, done: tuple[str, str, Accepted, Moment], order: str, basket_minor: int) -> None:
        request, till, first, _ = done
        again = self._redeem(first.coupon, request, till=till, order=order, basket_minor=basket_minor)
        if first.redemption in self.undone:
            assert isinstance(again, Undone)
        else:
            assert isinstance(again, Accepted)
            assert again.discount_minor == first.discount_minor
        assert again.redemption == first.redemption

    @rule(done=accepted)
    def undo(self, done: tuple[str, str, Accepted, Moment]) -> None:
        _, _, first, then = done
        now = self.now()
        order = first.coupon.redemption.order if first.coupon.redemption else ""
        answer = shop.undo(self.ledger, first, order=order, now=now)
        if first.redemption in self.undone:
            assert isinstance(answer, Undone), "undone is answered undone for ever"
        elif isinstance(answer, Undone):
            assert self.redeemed.pop(first.coupon.coupon) == first.redemption
            self.undone.add(first.redemption)
        else:
            assert answer.reason is Reason.UNDO_TOO_LATE
            assert now.boottime_ms - then.boottime_ms > UNDO_WINDOW_MS

    @rule(till=TILLS, order=ORDERS, basket_minor=BASKETS)
    def close(self, till: str, order: str, basket_minor: int) -> None:
        report = OrderReport(OrderId(order), TillName(till), shop.CASHIER, "CNY", basket_minor, self.now())
        key = order_key(report.till, report.order)
        before = self.ledger.get(key)
        answer = self.ledger.decide([key], close_order_rule(report))
        if before is not None and before.closed_ms is not None:
            assert answer == before or isinstance(answer, Refusal)
            assert self.ledger.get(key) == before, "a closed order never changes"

    @rule(who=st.data())
    def a_shown_coupon_is_as_good_as_promised(self, who: st.DataObject) -> None:
        """On an order of its own, with enough in the basket, until it ends, as long as the campaign was not stopped."""
        if not self.shown:
            return
        coupon = self.shown[who.draw(st.sampled_from(sorted(self.shown)))]
        self.requests += 1
        request = f"check-{self.requests}"
        answer = self._redeem(coupon, request, order=request, basket_minor=10_000)
        if isinstance(answer, Accepted):
            # Put back at once, so that the check leaves no trace but in the sheet and the journal.
            undone = shop.undo(self.ledger, answer, order=request, now=self.now())
            assert isinstance(undone, Undone)
            assert coupon.coupon not in self.redeemed
            assert self.true_ms <= coupon.not_after_ms + 2 * ERROR_MS
            return
        assert isinstance(answer, Refusal)
        used = sum(1 for each in self.shown.values() if each.coupon in self.redeemed and each.subject == coupon.subject and each.campaign == coupon.campaign)  # fmt: skip
        good_reasons = {
            Reason.ALREADY_REDEEMED: coupon.coupon in self.redeemed,
            Reason.EXPIRED: self.true_ms > coupon.not_after_ms,
            Reason.CAMPAIGN_STOPPED: coupon.campaign in self.hard_stops,
            Reason.LIMIT_REACHED: used >= coupon.redeem_limit,
        }
        assert good_reasons.get(answer.reason, False), answer

    # What must hold after every step.

    @invariant()
    def budgets_and_limits_hold(self) -> None:
        for campaign in CAMPAIGNS.values():
            units = [coupon for coupon in self.shown.values() if coupon.campaign == campaign.id]
            assert len(units) <= campaign.budget.units
            assert sum(coupon.offer.liability_minor for coupon in units) <= campaign.budget.spend_minor
        by_day: Counter[tuple[str, LocalDay]] = Counter()
        by_person: Counter[tuple[str, SubjectId]] = Counter()
        for (campaign_id, who, day), count in self.issued_on.items():
            assert count <= CAMPAIGNS[campaign_id].limits.issue_per_day  # type: ignore[index]
            by_day[campaign_id, day] += count
            by_person[campaign_id, who] += count
        for (campaign_id, _), count in by_day.items():
            assert count <= (CAMPAIGNS[campaign_id].budget.units_per_day or count)  # type: ignore[index]
        for (campaign_id, _), count in by_person.items():
            assert count <= CAMPAIGNS[campaign_id].limits.issue  # type: ignore[index]
        assert all(count <= SHAKE.limits.plays_per_day for count in self.played_on.values())

    @invariant()
    def wallets_hold_what_was_issued(self) -> None:
        held = {wallet.id: wallet.serials for wallet in self.ledger.all_of(WalletRecord)}
        issued: dict[str, tuple[int, ...]] = defaultdict(tuple)
        for serial, coupon in self.shown.items():
            issued[coupon.subject] += (serial,)
        assert held == dict(issued)

    @invariant()
    def the_journal_tells_what_the_ledger_holds(self) -> None:
        redemptions: dict[CouponId, RedemptionId | None] = {}
        for event in self.ledger.events:
            if isinstance(event, CouponIssued):
                assert event.coupon not in redemptions
                redemptions[event.coupon] = None
            elif isinstance(event, CouponRedeemed):
                assert redemptions[event.coupon] is None
                redemptions[event.coupon] = event.redemption
            elif isinstance(event, RedemptionUndone):
                assert redemptions[event.coupon] == event.redemption
                redemptions[event.coupon] = None
        rows = self.ledger.all_of(CouponRecord)
        assert {row.coupon: row.redemption and row.redemption.id for row in rows} == redemptions
        assert {row.coupon for row in rows if row.state is CouponState.REDEEMED} == set(self.redeemed)
        assert {
            coupon: redemption for coupon, redemption in redemptions.items() if redemption
        } == self.redeemed

    @invariant()
    def sheets_are_the_sums_of_the_events(self) -> None:
        told: dict[tuple[LocalDay, str], Counter[str]] = defaultdict(Counter)
        for event in self.ledger.events:
            if isinstance(event, CouponIssued):
                name, minor = "issued", event.liability_minor
            elif isinstance(event, CouponRedeemed):
                name, minor = "redeemed", event.discount_minor
            elif isinstance(event, RedemptionUndone):
                name, minor = "undone", event.discount_minor
            else:
                continue
            told[day_of(event.moment), event.campaign].update({name: 1, f"{name}_minor": minor})
        names = [f"{what}{unit}" for what in ("issued", "redeemed", "undone") for unit in ("", "_minor")]
        sheets = {(line.day, line.campaign): line for line in self.ledger.all_of(SheetLine)}
        assert sheets.keys() == told.keys()
        for where, line in sheets.items():
            assert {name: getattr(line, name) for name in names} == {n: told[where][n] for n in names}

    @invariant()
    def open_orders_hold_the_redeemed_coupons_and_never_overspend(self) -> None:
        for order in self.ledger.all_of(OrderRecord):
            coupons = [applied.coupon for applied in order.applied]
            assert len(set(coupons)) == len(coupons)
            if order.closed_ms is None:
                assert all(self.redeemed[a.coupon] == a.redemption for a in order.applied)

    @invariant()
    def every_day_of_plays_can_be_verified(self) -> None:
        records = self.ledger.all_of(PlayRecord)
        for draw in self.ledger.all_of(DrawDay):
            receipts = [each.receipt for each in records if draw.id.endswith(each.receipt.day)]
            assert verify_day(draw, SHAKE.draw.win_bps, receipts) is None


Ledger.TestCase.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
TestLedger = Ledger.TestCase
