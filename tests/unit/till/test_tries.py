"""Guessing short codes is slow: five wrong ones a minute and till."""

from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.till.tries import TRIES_MAX, WINDOW_MS, TriesRecord, judge_tries, tries_key, wrong_code_rule
from tests.fakes import shop
from tests.fakes.dict_ledger import DictLedger
from tests.fakes.shop import DAY_MS, NOON_MS, moment

WRONG = Refusal(Reason.UNKNOWN_CODE)


def try_wrong_code(ledger: DictLedger, *, ran_ms: int, boot: str = "boot-1") -> Refusal:
    now = moment(NOON_MS + ran_ms, boot=boot)
    return ledger.decide([tries_key(shop.TILL)], wrong_code_rule(shop.TILL, WRONG, now))


def tries(ledger: DictLedger) -> TriesRecord | None:
    return ledger.get(tries_key(shop.TILL))


def test_the_sixth_wrong_code_within_a_minute_is_told_when_the_till_takes_codes_again() -> None:
    ledger = DictLedger()
    for second in range(TRIES_MAX):
        assert judge_tries(tries(ledger), moment(NOON_MS + second * 1000)) is None
        assert try_wrong_code(ledger, ran_ms=second * 1000) == WRONG
    blocked = try_wrong_code(ledger, ran_ms=10_000)
    assert blocked == Refusal(Reason.TOO_MANY_TRIES, instants_ms={"again_at": NOON_MS + WINDOW_MS})
    assert judge_tries(tries(ledger), moment(NOON_MS + WINDOW_MS - 1)) is not None
    assert judge_tries(tries(ledger), moment(NOON_MS + WINDOW_MS)) is None


def test_at_most_five_wrong_codes_pass_in_any_minute() -> None:
    ledger = DictLedger()
    passed = [ms for ms in range(0, 10 * WINDOW_MS, 700) if try_wrong_code(ledger, ran_ms=ms) == WRONG]
    for first, sixth in zip(passed, passed[TRIES_MAX:], strict=False):
        assert sixth - first >= WINDOW_MS


def test_each_wrong_code_that_counts_is_journaled_and_a_blocked_one_is_not() -> None:
    ledger = DictLedger()
    for _ in range(TRIES_MAX + 3):
        try_wrong_code(ledger, ran_ms=0)
    assert [event.what for event in ledger.events] == ["redemption_refused"] * TRIES_MAX


def test_the_wall_clock_has_no_part_in_it() -> None:
    ledger = DictLedger()
    for _ in range(TRIES_MAX):
        try_wrong_code(ledger, ran_ms=0)
    set_ahead = moment(NOON_MS + DAY_MS, ran_ms=1000)
    blocked = judge_tries(tries(ledger), set_ahead)
    assert blocked is not None
    assert blocked.instants_ms["again_at"] == NOON_MS + DAY_MS + WINDOW_MS - 1000


def test_a_reboot_takes_longer_than_waiting_and_forgets() -> None:
    ledger = DictLedger()
    for _ in range(TRIES_MAX):
        try_wrong_code(ledger, ran_ms=0)
    assert judge_tries(tries(ledger), moment(NOON_MS, boot="boot-2")) is None
