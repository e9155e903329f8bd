"""Cashiers sign in with a PIN; guessing is slow, sessions end."""

import asyncio

import pytest

from edge_agent.adapters.pin_scrypt import pin_scrypt
from edge_agent.services.cashiers import (
    FORGET_S,
    IDLE_S_MAX,
    PAUSE_S_FIRST,
    PAUSE_S_MAX,
    PIN_CHARS_MAX,
    SESSION_S_MAX,
    SESSIONS_MAX,
    WRONG_PINS_MAX,
    Cashiers,
    MustPause,
    SignedIn,
    WrongPin,
)
from tests.fakes.counter import (
    OTHER_PIN,
    OTHER_TILL,
    OTHER_TOKEN,
    PIN,
    TILL,
    TILL_TOKEN,
    CountedEntropy,
    SetClock,
    bundle,
    pin_hash,
)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def cashiers(clock: SetClock) -> Cashiers:
    laid = bundle()
    return Cashiers(bundle=lambda: laid, clock=clock, entropy=CountedEntropy(), pin_hash=pin_hash)


async def signed_in(cashiers: Cashiers, name: str = "Li", pin: str = PIN) -> SignedIn:
    answer = await cashiers.sign_in(TILL, name, pin)
    assert isinstance(answer, SignedIn), answer
    return answer


async def guess_until_pause(cashiers: Cashiers, name: str = "Li") -> MustPause:
    answers = [await cashiers.sign_in(TILL, name, "0000") for _ in range(WRONG_PINS_MAX)]
    assert isinstance(answers[-1], MustPause), answers
    return answers[-1]


def test_each_till_is_known_by_its_own_token(cashiers: Cashiers) -> None:
    assert cashiers.till_of(TILL_TOKEN) == TILL
    assert cashiers.till_of(OTHER_TOKEN) == OTHER_TILL
    assert cashiers.till_of(TILL_TOKEN + " ") is None
    assert cashiers.till_of("\ud800") is None


async def test_right_pin_opens_a_session_at_that_till_alone(cashiers: Cashiers) -> None:
    token = (await signed_in(cashiers)).token
    session = cashiers.session(token, till=TILL)
    assert session is not None
    assert session.cashier == "Li"
    assert cashiers.session(token, till=OTHER_TILL) is None
    assert cashiers.session("0" * 64, till=TILL) is None


async def test_sign_out_ends_the_session(cashiers: Cashiers) -> None:
    token = (await signed_in(cashiers)).token
    cashiers.sign_out(token)
    assert cashiers.session(token, till=TILL) is None


async def test_idle_session_ends_and_used_one_stays(cashiers: Cashiers, clock: SetClock) -> None:
    token = (await signed_in(cashiers)).token
    clock.pass_s(IDLE_S_MAX - 1)
    assert cashiers.session(token, till=TILL)
    clock.pass_s(IDLE_S_MAX - 1)
    assert cashiers.session(token, till=TILL)
    clock.pass_s(IDLE_S_MAX + 1)
    assert cashiers.session(token, till=TILL) is None


async def test_no_session_outlives_a_shift(cashiers: Cashiers, clock: SetClock) -> None:
    token = (await signed_in(cashiers)).token
    for _ in range(int(SESSION_S_MAX // 600)):
        assert cashiers.session(token, till=TILL)
        clock.pass_s(600)
    clock.pass_s(1)
    assert cashiers.session(token, till=TILL) is None


async def test_wrong_pins_are_counted_down_to_a_pause(cashiers: Cashiers) -> None:
    left = [await cashiers.sign_in(TILL, "Li", "0000") for _ in range(WRONG_PINS_MAX)]
    assert left == [WrongPin(4), WrongPin(3), WrongPin(2), WrongPin(1), MustPause(PAUSE_S_FIRST)]


async def test_right_pin_does_not_pass_during_a_pause(cashiers: Cashiers, clock: SetClock) -> None:
    await guess_until_pause(cashiers)
    clock.pass_s(PAUSE_S_FIRST - 1)
    assert await cashiers.sign_in(TILL, "Li", PIN) == MustPause(1.0)
    clock.pass_s(1)
    await signed_in(cashiers)


async def test_pause_doubles_with_every_further_guess_up_to_its_limit(
    cashiers: Cashiers, clock: SetClock
) -> None:
    waits = [(await guess_until_pause(cashiers)).wait_s]
    for _ in range(20):
        clock.pass_s(waits[-1])
        answer = await cashiers.sign_in(TILL, "Li", "0000")
        assert isinstance(answer, MustPause)
        waits.append(answer.wait_s)
    assert waits[:4] == [30, 60, 120, 240]
    assert waits[-1] == PAUSE_S_MAX


async def test_own_pin_does_not_buy_guesses_at_a_colleagues(cashiers: Cashiers) -> None:
    for _ in range(WRONG_PINS_MAX - 1):
        assert isinstance(await cashiers.sign_in(TILL, "Wang", "0000"), WrongPin)
        await signed_in(cashiers)
    assert isinstance(await cashiers.sign_in(TILL, "Wang", "0000"), MustPause)


async def test_a_slip_is_forgiven_by_the_right_pin(cashiers: Cashiers) -> None:
    for _ in range(3):
        await cashiers.sign_in(TILL, "Li", "0000")
        await signed_in(cashiers)
    assert await cashiers.sign_in(TILL, "Li", "0000") == WrongPin(WRONG_PINS_MAX - 1)


async def test_another_till_is_not_held_up(cashiers: Cashiers) -> None:
    await guess_until_pause(cashiers)
    assert isinstance(await cashiers.sign_in(OTHER_TILL, "Wang", OTHER_PIN), SignedIn)


async def test_guesses_are_forgotten_after_a_quiet_while(cashiers: Cashiers, clock: SetClock) -> None:
    await guess_until_pause(cashiers)
    clock.pass_s(FORGET_S + 1)
    assert await cashiers.sign_in(TILL, "Li", "0000") == WrongPin(WRONG_PINS_MAX - 1)


async def test_guesses_at_once_are_judged_one_after_another(cashiers: Cashiers) -> None:
    answers = await asyncio.gather(*(cashiers.sign_in(TILL, "Li", f"{n:04d}") for n in range(10)))
    assert sum(isinstance(answer, WrongPin) for answer in answers) == WRONG_PINS_MAX - 1


@pytest.mark.parametrize("name", ["", "Nobody", "li", "Li "])
async def test_unknown_names_are_wrong_pins(cashiers: Cashiers, name: str) -> None:
    assert isinstance(await cashiers.sign_in(TILL, name, PIN), WrongPin)


@pytest.mark.parametrize("pin", ["", "2" * (PIN_CHARS_MAX + 1), OTHER_PIN])
async def test_pins_that_are_not_the_cashiers_are_wrong(cashiers: Cashiers, pin: str) -> None:
    assert isinstance(await cashiers.sign_in(TILL, "Li", pin), WrongPin)


async def test_open_sessions_are_bounded_and_the_idlest_ends(cashiers: Cashiers, clock: SetClock) -> None:
    tokens = []
    for _ in range(SESSIONS_MAX + 1):
        tokens.append((await signed_in(cashiers)).token)
        clock.pass_s(0.001)
    assert cashiers.session(tokens[0], till=TILL) is None
    assert cashiers.session(tokens[1], till=TILL)
    assert cashiers.session(tokens[-1], till=TILL)


async def test_scrypt_is_the_bundles() -> None:
    """Source of the value: hashlib.scrypt(b"2468", salt=16 zero bytes, n=2**14, r=8, p=1, dklen=32), by OpenSSL."""
    hashed = await pin_scrypt(PIN, bytes(16))
    assert hashed.hex() == "3d60e42f4e3d6bcf9a12a25ae7ea4648e2e913c7041a9bef24f4dd8b2bab7a87"


class Renewed:
    """Cashiers over a bundle that a test changes."""

    def __init__(self, clock: SetClock) -> None:
        self.bundle = bundle()
        self.cashiers = Cashiers(
            bundle=lambda: self.bundle, clock=clock, entropy=CountedEntropy(), pin_hash=pin_hash
        )

    def change(self, **fields: object) -> None:
        self.bundle = self.bundle.model_copy(update=fields)


async def test_another_bundle_leaves_sessions_and_tills_that_it_does_not_touch(clock: SetClock) -> None:
    store = Renewed(clock)
    li = await signed_in(store.cashiers)
    store.change(sequence=2, cashiers=store.bundle.cashiers[:1], tills=store.bundle.tills[:1])
    assert store.cashiers.session(li.token, till=TILL) is not None
    assert store.cashiers.till_of(TILL_TOKEN) == TILL


async def test_a_dropped_tills_token_stops_working_at_once(clock: SetClock) -> None:
    store = Renewed(clock)
    assert store.cashiers.till_of(OTHER_TOKEN) == OTHER_TILL
    store.change(tills=store.bundle.tills[:1])
    assert store.cashiers.till_of(OTHER_TOKEN) is None


async def test_a_dropped_cashiers_session_ends_and_the_name_is_nobodys(clock: SetClock) -> None:
    store = Renewed(clock)
    wang = await signed_in(store.cashiers, "Wang", OTHER_PIN)
    store.change(cashiers=store.bundle.cashiers[:1])
    assert store.cashiers.session(wang.token, till=TILL) is None
    assert store.cashiers.names == ("Li",)
    assert isinstance(await store.cashiers.sign_in(TILL, "Wang", OTHER_PIN), WrongPin)


async def test_a_session_ends_with_the_pin_that_opened_it(clock: SetClock) -> None:
    store = Renewed(clock)
    li = await signed_in(store.cashiers)
    of_wang = store.bundle.cashiers[1]
    changed = store.bundle.cashiers[0].model_copy(update={"pin_scrypt": of_wang.pin_scrypt})
    store.change(cashiers=(changed, of_wang))
    assert store.cashiers.session(li.token, till=TILL) is None
    await signed_in(store.cashiers, "Li", OTHER_PIN)


async def test_a_till_that_must_pause_does_so_under_another_bundle(clock: SetClock) -> None:
    store = Renewed(clock)
    await guess_until_pause(store.cashiers)
    store.change(sequence=2)
    assert isinstance(await store.cashiers.sign_in(TILL, "Li", PIN), MustPause)
