"""Refusals collected from the real rules, one way or another of getting each."""

from collections.abc import Iterator

from engagement.campaign.play import PlayAnswer, PlayRequest, play_keys, play_rule
from engagement.campaign.state import StopRecord
from engagement.coupon.code import SignedCode, read_code
from engagement.coupon.lifecycle import CouponState
from engagement.coupon.presented import identify, recognise
from engagement.coupon.redemption import Circumstances, decide_redemption
from engagement.ids import OrderId
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.till.attempt import Accepted, redemption_id
from engagement.till.order import OrderReport, close_order_rule, order_key
from engagement.till.tries import TRIES_MAX, tries_key, wrong_code_rule
from tests.fakes import shop
from tests.fakes.dict_ledger import DictLedger
from tests.fakes.shop import AGENT_NUMBER, DAY_MS, HOUR_MS, LEASE_NUMBER, NOON_MS, accepted, issued, moment


def made_by_the_rules() -> list[Refusal]:
    """At least one refusal of every reason that a rule of the core gives."""
    found = [*_of_codes(), *_of_issuing(), *_of_playing(), *_of_redeeming(), *_of_the_till()]
    assert all(isinstance(refusal, Refusal) for refusal in found), found
    return [refusal for refusal in found if isinstance(refusal, Refusal)]


def _of_codes() -> Iterator[object]:
    coupon, now = shop.coupon(), moment()
    yield read_code("hello")
    yield read_code(coupon.code[:-3])
    code = read_code(coupon.code)
    assert isinstance(code, SignedCode)
    yield identify(code, agent_number=1, lease_number=LEASE_NUMBER, verify=shop.verify)
    yield identify(code, agent_number=AGENT_NUMBER, lease_number=1, verify=shop.verify)
    yield identify(code, agent_number=AGENT_NUMBER, lease_number=LEASE_NUMBER, verify=lambda *_: False)
    yield recognise(code, None, now)
    yield recognise(code, None, moment(NOON_MS + 30 * DAY_MS))


def _of_issuing() -> Iterator[object]:
    ledger = DictLedger()
    yield shop.give(ledger, now=moment(NOON_MS - 11 * DAY_MS))
    one = shop.campaign(budget={"units": 1, "spend_minor": 2000})
    issued(shop.give(ledger, of=one))
    yield shop.give(ledger, shop.BERT, of=one)
    two = shop.campaign(id="two", number=5)
    issued(shop.give(ledger, of=two))
    yield shop.give(ledger, of=two)


def _of_playing() -> Iterator[object]:
    ledger = DictLedger()
    once = shop.shake_campaign(win_bps=1, limits={"plays_per_day": 1})
    for number in (1, 2):
        request = PlayRequest(shop.issue_request(of=once), bytes([number]) * 16, fresh_seed=bytes(32))
        answer = ledger.decide(play_keys(request), play_rule(request, shop.MINT))
        if not isinstance(answer, PlayAnswer):
            yield answer


def _of_redeeming() -> Iterator[object]:
    later = shop.campaign(window=shop.campaign_file()["window"] | {"use_after_minutes": 60})
    coupon = shop.coupon(of=later)
    fits = Circumstances(moment(NOON_MS + HOUR_MS), 10_000, "CNY", (), None, 0)
    stop = StopRecord(id=coupon.campaign, stopped_ms=NOON_MS, by="boss", honour_issued=False)
    yield decide_redemption(coupon.model_copy(update={"state": CouponState.VOIDED}), fits)
    for now_ms in (NOON_MS, NOON_MS + 30 * DAY_MS):
        yield decide_redemption(coupon, Circumstances(moment(now_ms), 10_000, "CNY", (), None, 0))
    yield decide_redemption(coupon, Circumstances(fits.now, 10_000, "CNY", (), stop, 0))
    yield decide_redemption(coupon, Circumstances(fits.now, 10_000, "EUR", (), None, 0))
    yield decide_redemption(coupon, Circumstances(fits.now, 10_000, "CNY", (), None, 100))
    yield decide_redemption(coupon, Circumstances(fits.now, 9_999, "CNY", (), None, 0))


def _of_the_till() -> Iterator[object]:
    ledger, now = DictLedger(), moment()
    mine, hers = issued(shop.give(ledger)), issued(shop.give(ledger, shop.BERT))
    used: Accepted = accepted(shop.redeem(ledger, mine, request="1"))
    yield shop.redeem(ledger, mine, request="2")
    yield shop.redeem(ledger, hers, request="1")
    yield shop.redeem(ledger, hers, request="2")
    yield shop.undo(ledger, Accepted(redemption_id(1, "guess"), 0, used.coupon))
    yield shop.undo(ledger, used, now=moment(NOON_MS + HOUR_MS))
    report = OrderReport(OrderId("order-1"), shop.TILL, shop.CASHIER, "CNY", 10_000, now)
    ledger.decide([order_key(shop.TILL, report.order)], close_order_rule(report))
    yield shop.redeem(ledger, hers, request="2")
    for _ in range(TRIES_MAX + 1):
        rule = wrong_code_rule(shop.TILL, Refusal(Reason.UNKNOWN_CODE), now)
        yield ledger.decide([tries_key(shop.TILL)], rule)
