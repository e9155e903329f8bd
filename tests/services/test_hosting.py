"""Hosting over a memory store: who a phone is, what it gets once, and what it can play."""

from dataclasses import replace

import pytest

from edge_agent.ports import StoreFull
from edge_agent.services.hosting import MEMBER_TRIES_MAX, Wallet
from engagement.campaign.model import Campaign
from engagement.coupon.coupon import CouponRecord, Standing
from engagement.ids import CampaignId, CouponId, MemberId, member_subject
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.visitor.visitor import CONSENTS_PER_HOUR_MAX, Consent
from tests.fakes.shop import DAY_MS, HOUR_MS, campaign, shake_campaign
from tests.fakes.store_front import MEMBER_CODE, StoreFront, store_front

ANNA, BERT = "127.0.0.11", "127.0.0.12"
CONSENT = Consent(given_ms=0, analytics=False, marketing=False, language="en", text_sha256="00")
SHAKE = CampaignId("shake")
BACK = campaign(id="welcome_back", number=9, trigger={"on": "welcome_back"})


def nonce(number: int) -> bytes:
    return number.to_bytes(16, "big")


async def welcome(front: StoreFront, address: str = ANNA) -> Wallet:
    given = await front.hosting.welcome(front.hosting.greet(address, None), CONSENT)
    assert isinstance(given, Wallet)
    return given


async def wallet(front: StoreFront, address: str = ANNA, cookie: str | None = None) -> Wallet | None:
    return await front.hosting.wallet(front.hosting.greet(address, cookie))


async def test_looking_writes_nothing() -> None:
    async with store_front() as front:
        assert await wallet(front) is None
        assert await wallet(front) is None
        assert sum(front.store.backlog().values()) == 0


async def test_the_welcome_coupon_is_given_once_however_often_one_consents() -> None:
    async with store_front() as front:
        first = await welcome(front)
        second = await front.hosting.welcome(
            front.hosting.greet(ANNA, None), CONSENT.model_copy(update={"marketing": True})
        )
        assert isinstance(second, Wallet)
        assert second.visitor == first.visitor
        assert second.cards == first.cards
        assert second.consent is not None
        assert second.consent.marketing
        other = await welcome(front, BERT)
        assert other.visitor != first.visitor
        assert {card.coupon.coupon for card in other.cards}.isdisjoint(
            card.coupon.coupon for card in first.cards
        )


async def test_a_phone_is_known_by_its_visit_for_a_day_and_by_its_cookie_for_longer() -> None:
    async with store_front() as front:
        first = await welcome(front)
        front.clock.wall_ms += DAY_MS + HOUR_MS
        again = await wallet(front)
        assert again is not None
        assert again.visitor == first.visitor
        front.clock.wall_ms += 2 * DAY_MS
        assert await wallet(front) is None
        kept = await wallet(front, cookie=first.cookie)
        assert kept is not None
        assert kept.visitor == first.visitor


async def test_a_cookie_outranks_the_address_and_a_forged_one_counts_for_nothing() -> None:
    async with store_front() as front:
        anna, bert = await welcome(front, ANNA), await welcome(front, BERT)
        at_berts = await wallet(front, BERT, anna.cookie)
        assert at_berts is not None
        assert at_berts.visitor == anna.visitor
        forged = await wallet(front, BERT, anna.cookie[:-1] + "x")
        assert forged is not None
        assert forged.visitor == bert.visitor


async def test_the_services_may_restart_between_any_two_steps() -> None:
    async with store_front() as front:
        first = await welcome(front)
        front = replace(front)
        played = await front.hosting.play(front.hosting.greet(ANNA, None), SHAKE, nonce(1))
        front = replace(front)
        assert await front.hosting.play(front.hosting.greet(ANNA, None), SHAKE, nonce(1)) == played
        held = await wallet(front)
        assert held is not None
        assert held.visitor == first.visitor
        assert len(held.cards) == 2


async def test_a_play_can_be_shown_again_to_its_player_only() -> None:
    async with store_front() as front:
        await welcome(front, ANNA)
        await welcome(front, BERT)
        guest = front.hosting.greet(ANNA, None)
        played = await front.hosting.play(guest, SHAKE, nonce(1))
        assert await front.hosting.played(guest, SHAKE, nonce(1)) == played
        assert await front.hosting.played(guest, SHAKE, nonce(2)) is None
        assert await front.hosting.played(front.hosting.greet(BERT, None), SHAKE, nonce(1)) is None
        assert await front.hosting.played(front.hosting.greet("127.0.0.13", None), SHAKE, nonce(1)) is None


async def test_a_game_says_how_often_it_can_be_played_or_why_not() -> None:
    limits = {"issue": 100, "issue_per_day": 100, "plays_per_day": 2}
    tired = shake_campaign(win_bps=1, limits=limits)
    stopped = shake_campaign(id="other", number=9)

    async def left(front: StoreFront) -> dict[str, int | Reason]:
        held = await wallet(front)
        assert held is not None
        games = await front.hosting.games(held)
        return {
            game.campaign.id: game.plays_left.reason
            if isinstance(game.plays_left, Refusal)
            else game.plays_left
            for game in games
        }

    async with store_front(stopped, tired) as front:
        await welcome(front)
        await front.stop(stopped, honour_issued=True)
        assert list((await left(front)).items()) == [("shake", 2), ("other", Reason.CAMPAIGN_STOPPED)]
        for number in range(2):
            await front.hosting.play(front.hosting.greet(ANNA, None), SHAKE, nonce(number))
        assert (await left(front))["shake"] is Reason.PLAYED_ENOUGH
        front.clock.wall_ms += DAY_MS
        assert (await left(front))["shake"] == 2


@pytest.mark.parametrize(
    ("sold", "reason"),
    [
        (shake_campaign(budget={"units": 1, "spend_minor": 2000}, win_bps=10_000), Reason.SOLD_OUT),
        (shake_campaign(win_bps=10_000, limits={"issue": 1, "plays_per_day": 9}), Reason.LIMIT_REACHED),
    ],
)
async def test_a_game_that_has_nothing_left_to_win_is_not_offered(sold: Campaign, reason: Reason) -> None:
    async with store_front(sold) as front:
        held = await welcome(front)
        await front.hosting.play(front.hosting.greet(ANNA, None), SHAKE, nonce(1))
        (game,) = await front.hosting.games(held)
        assert isinstance(game.plays_left, Refusal)
        assert game.plays_left.reason is reason


async def test_only_campaigns_that_run_are_announced() -> None:
    gone = campaign(
        id="gone",
        number=8,
        window={"opens_at": "2026-01-01T00:00:00Z", "ends_at": "2026-01-02T00:00:00Z", "use_days": 1},
    )
    stopped = campaign(id="stopped", number=9)
    async with store_front(gone, campaign(), stopped) as front:
        await front.stop(stopped, honour_issued=True)
        assert [each.id for each in await front.issuing.running_on("welcome")] == ["welcome"]
        assert await front.issuing.running_on("shake") == []


async def test_a_stopped_campaign_that_honours_its_coupons_leaves_them_usable() -> None:
    async with store_front() as front:
        held = await welcome(front)
        await front.stop(held.cards[0].campaign, honour_issued=True)
        again = await wallet(front)
        assert again is not None
        assert again.cards[0].is_usable
        await front.stop(held.cards[0].campaign, honour_issued=False)
        again = await wallet(front)
        assert again is not None
        assert not again.cards[0].is_usable


async def test_usable_coupons_come_first() -> None:
    async with store_front() as front:
        held = await welcome(front)
        await front.use(held.cards[0].coupon)
        front.clock.wall_ms += 1000
        await front.hosting.play(front.hosting.greet(ANNA, None), SHAKE, nonce(1))
        again = await wallet(front)
        assert again is not None
        assert [card.standing for card in again.cards] == [Standing.ACTIVE, Standing.REDEEMED]


async def test_a_coupon_is_shown_to_its_owner_only() -> None:
    async with store_front() as front:
        held = await welcome(front)
        await welcome(front, BERT)
        coupon = held.cards[0].coupon.coupon
        assert await front.hosting.card(front.hosting.greet(ANNA, None), coupon) == held.cards[0]
        assert await front.hosting.card(front.hosting.greet(BERT, None), coupon) is None
        assert await front.hosting.card(front.hosting.greet(ANNA, None), CouponId("000001-wrong")) is None


async def test_a_member_code_links_and_guessing_is_slowed_down() -> None:
    async with store_front() as front:
        guest = front.hosting.greet(ANNA, None)
        before = await front.hosting.link_member(guest, MEMBER_CODE)
        assert isinstance(before, Refusal)
        assert before.reason is Reason.NO_CONSENT
        await welcome(front)
        linked = await front.hosting.link_member(guest, "k7qm 2wxz 9d")
        assert isinstance(linked, Wallet)
        assert linked.is_member
        answers = [await front.hosting.link_member(guest, "guess") for _ in range(MEMBER_TRIES_MAX)]
        reasons = [answer.reason for answer in answers if isinstance(answer, Refusal)]
        assert reasons == [Reason.UNKNOWN_MEMBER_CODE] * (MEMBER_TRIES_MAX - 1) + [Reason.TOO_BUSY]


async def member_coupon(front: StoreFront) -> CouponId:
    """Give the member what their tag would bring them when they come in."""
    (back,) = front.issuing.campaigns_on("welcome_back")
    given = await front.issuing.give(back, member_subject(MemberId("m1")))
    assert isinstance(given, CouponRecord)
    return given.coupon


async def test_a_members_coupons_are_shown_to_the_phone_that_proved_the_member_alone() -> None:
    async with store_front(campaign(), BACK) as front:
        plain = (await welcome(front)).cookie
        coupon = await member_coupon(front)
        linked = await front.hosting.link_member(front.hosting.greet(ANNA, plain), MEMBER_CODE)
        assert isinstance(linked, Wallet)
        assert linked.is_member
        assert coupon in {card.coupon.coupon for card in linked.cards}
        front = replace(front)
        for address in (ANNA, BERT):
            assert await wallet(front, address, linked.cookie) == linked
            card = await front.hosting.card(front.hosting.greet(address, linked.cookie), coupon)
            assert card is not None
        for shown in (None, plain, f"{plain}.{'0' * 32}"):
            own = await wallet(front, ANNA, shown)
            assert own is not None
            assert not own.is_member
            assert own.cookie == plain
            assert [card.coupon.campaign for card in own.cards] == ["welcome"]
            assert await front.hosting.card(front.hosting.greet(ANNA, shown), coupon) is None


async def test_a_change_of_consent_neither_grants_nor_loses_the_members_wallet() -> None:
    async with store_front(campaign(), BACK) as front:
        await welcome(front)
        linked = await front.hosting.link_member(front.hosting.greet(ANNA, None), MEMBER_CODE)
        assert isinstance(linked, Wallet)
        changed = CONSENT.model_copy(update={"analytics": True})
        for shown in (None, linked.cookie):
            answer = await front.hosting.welcome(front.hosting.greet(ANNA, shown), changed)
            assert isinstance(answer, Wallet)
            assert answer.is_member == (shown is not None)
            assert (answer.cookie == linked.cookie) == (shown is not None)


async def test_a_phone_that_keeps_changing_its_consent_is_refused_even_after_a_restart() -> None:
    async with store_front() as front:
        answers = []
        for number in range(CONSENTS_PER_HOUR_MAX + 5):
            consent = CONSENT.model_copy(update={"marketing": number % 2 == 1})
            answers.append(await front.hosting.welcome(front.hosting.greet(ANNA, None), consent))
            front = replace(front)
        refused = [answer for answer in answers if isinstance(answer, Refusal)]
        # Every other one of the five asks for what already holds.
        assert [answer.reason for answer in refused] == [Reason.TOO_BUSY] * 3
        assert all(isinstance(answer, Wallet) for answer in answers[:CONSENTS_PER_HOUR_MAX])


async def test_a_full_disk_keeps_no_consent_and_gives_no_coupon() -> None:
    async with store_front() as front:
        held = await welcome(front)
        front.store.fill_disk()
        with pytest.raises(StoreFull):
            await welcome(front, BERT)
        refused = await front.hosting.play(front.hosting.greet(ANNA, None), SHAKE, nonce(1))
        assert isinstance(refused, Refusal)
        assert refused.reason is Reason.STORE_FULL
        again = await wallet(front)
        assert again is not None
        assert again.cards == held.cards
