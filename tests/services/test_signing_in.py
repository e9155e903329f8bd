"""Signing in: the right password, for a day, and no guessing."""

import pytest

from cloud_api.ports.storage import User
from cloud_api.services.refused import Refused
from cloud_api.services.signing_in import SESSION_MS, TRIES_MAX, SigningIn
from tests.fakes.hq import HandClock
from tests.fakes.ledger import SeededEntropy
from tests.fakes.memory_storage import MemoryStorage


async def quick_hash(password: str, salt: bytes) -> bytes:
    return password.encode() + salt


class Desk:
    def __init__(self) -> None:
        self.storage, self.clock = MemoryStorage(), HandClock()
        self.signing_in = SigningIn(
            storage=self.storage, clock=self.clock, entropy=SeededEntropy(), hash_password=quick_hash
        )

    async def refusal(self, name: str, password: str) -> str:
        with pytest.raises(Refused) as refused:
            await self.signing_in.sign_in(name, password)
        return refused.value.code


@pytest.fixture
async def desk() -> Desk:
    made = Desk()
    await made.storage.set_users([User(name, b"salt", b"rightsalt") for name in ("ann", "bob")])
    return made


async def test_a_token_is_its_users_until_it_ends(desk: Desk) -> None:
    signed_in = await desk.signing_in.sign_in("ann", "right")
    assert await desk.signing_in.user_of(signed_in.token) == "ann"
    assert await desk.signing_in.user_of(signed_in.token[:-1]) is None
    desk.clock.pass_ms(SESSION_MS)
    assert await desk.signing_in.user_of(signed_in.token) is None


async def test_signing_out_ends_one_session(desk: Desk) -> None:
    one, other = await desk.signing_in.sign_in("ann", "right"), await desk.signing_in.sign_in("ann", "right")
    await desk.signing_in.sign_out(one.token)
    assert await desk.signing_in.user_of(one.token) is None
    assert await desk.signing_in.user_of(other.token) == "ann"


async def test_guessing_is_stopped_for_that_user_alone(desk: Desk) -> None:
    for _ in range(TRIES_MAX):
        assert await desk.refusal("ann", "wrong") == "password_wrong"
    assert await desk.refusal("ann", "right") == "too_many_tries"
    await desk.signing_in.sign_in("bob", "right")
    desk.clock.pass_ms(15 * 60_000)
    await desk.signing_in.sign_in("ann", "right")
    assert await desk.refusal("ann", "wrong") == "password_wrong"


async def test_made_up_names_share_one_count(desk: Desk) -> None:
    for number in range(TRIES_MAX):
        assert await desk.refusal(f"user-{number}", "right") == "password_wrong"
    assert await desk.refusal("another", "right") == "too_many_tries"
    await desk.signing_in.sign_in("ann", "right")
