"""From advertisements on the air to the live board, the journal and the member's wallet; on virtual time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from edge_agent.ports import RadioLost
from edge_agent.radio_status import RadioStatus
from edge_agent.services.board import Board
from edge_agent.services.hearing import WAITING_MAX, Hearing
from edge_agent.services.issuing import Issuing
from edge_agent.services.premises import Premises
from engagement.advertisement.frames import IBeacon, encode_frame
from engagement.advertisement.packet import Advertisement
from engagement.campaign.model import Campaign
from engagement.estate.beacon import Beacon, IBeaconIdentity
from engagement.estate.branch import Agent
from engagement.ids import MemberId, member_subject
from engagement.journal.event import Lane, PresenceChanged
from engagement.presence.change import ChangeKind
from engagement.visitor.visitor import wallet_key
from tests.eventually import eventually
from tests.fakes.premises import open_premises
from tests.fakes.shop import campaign
from tests.fakes.virtual_loop import run_virtually

MEMBER = member_subject(MemberId("m-1001"))


def _welcome_back(**changes: object) -> Campaign:
    return campaign(**{"id": "welcome_back", "trigger": {"on": "welcome_back", "dwell_s": 20}} | changes)


class LoudRadio:
    """Sends what it is told to; ``breaks`` is how often listening fails before it works."""

    def __init__(self, breaks: int = 0) -> None:
        self.sink: Callable[[Advertisement], None] | None = None
        self.breaks = breaks
        self.tuned_to: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        return "fake:loud"

    @property
    def status(self) -> RadioStatus:
        return RadioStatus(self.name, ())

    async def listen(self, sink: Callable[[Advertisement], None]) -> None:
        if self.breaks:
            self.breaks -= 1
            raise RadioLost("the adapter is unplugged")
        self.sink = sink
        await asyncio.Event().wait()

    def retune(self, adapters: Sequence[str]) -> None:
        self.tuned_to = tuple(adapters)

    def say(self, beacon: Beacon, rssi_dbm: int = -60) -> None:
        assert self.sink is not None
        identity = beacon.identity
        assert isinstance(identity, IBeaconIdentity)
        frame = IBeacon(identity.uuid, identity.major, identity.minor, -59)
        now_s = asyncio.get_running_loop().time()
        self.sink(Advertisement(now_s, "hci0", "C0:FF:EE:00:00:01", rssi_dbm, encode_frame(frame)))


class Shop:
    def __init__(self, premises: Premises, radio: LoudRadio) -> None:
        self.premises = premises
        self.radio = radio
        self.board = Board(premises.bundle.branch.beacons, premises.clock)
        self.hearing = Hearing(premises, Issuing(premises), radio, self.board)
        self.member_tag, self.guest_tag = premises.bundle.branch.beacons

    async def carry(self, beacon: Beacon, seconds: int) -> None:
        """Somebody stands near the receiver with a tag that advertises twice a second."""
        for _ in range(seconds * 2):
            self.radio.say(beacon)
            await asyncio.sleep(0.5)

    async def changes(self) -> list[tuple[str, str]]:
        entries = await self.premises.store.entries(Lane.ENGAGEMENT, after_seq=0, limit=1000)
        events = [entry.event for entry in entries]
        return [(event.beacon, event.change) for event in events if isinstance(event, PresenceChanged)]

    async def member_coupons(self) -> int:
        key = wallet_key(MEMBER)
        wallet = (await self.premises.store.fetch([key])).get(key)
        return len(wallet.serials) if wallet else 0


@asynccontextmanager
async def _open(*campaigns: Campaign, radio: LoudRadio | None = None) -> AsyncIterator[Shop]:
    async with open_premises(*campaigns) as premises:
        shop = Shop(premises, radio or LoudRadio())
        tasks = [
            asyncio.ensure_future(shop.hearing.listen()),
            asyncio.ensure_future(shop.hearing.attend()),
        ]
        await asyncio.sleep(1)
        try:
            yield shop
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


def test_a_tag_enters_dwells_and_leaves_in_the_journal_and_on_the_board() -> None:
    async def story() -> None:
        async with _open() as shop:
            await shop.carry(shop.guest_tag, 90)
            (here,) = shop.board.picture().present
            assert (here.beacon, here.zone) == ("guest-tag", "entrance")
            assert here.dwell_s > 80
            await asyncio.sleep(90)
            assert shop.board.picture().present == ()
            assert await shop.changes() == [
                ("guest-tag", "enter"),
                ("guest-tag", "dwell"),
                ("guest-tag", "leave"),
            ]
            kinds = [happened.kind for happened in shop.board.picture().recent]
            assert kinds == [ChangeKind.LEAVE, ChangeKind.DWELL, ChangeKind.ENTER]

    run_virtually(story())


def test_a_members_tag_that_dwells_brings_one_coupon_to_the_members_wallet() -> None:
    async def story() -> None:
        async with _open(_welcome_back()) as shop:
            await shop.carry(shop.member_tag, 15)
            assert await shop.member_coupons() == 0
            await shop.carry(shop.member_tag, 30)
            assert await shop.member_coupons() == 1
            await asyncio.sleep(120)
            await shop.carry(shop.member_tag, 40)
            assert await shop.member_coupons() == 1

    run_virtually(story())


def test_a_tag_that_is_nobodys_brings_no_coupon() -> None:
    async def story() -> None:
        async with _open(_welcome_back()) as shop:
            await shop.carry(shop.guest_tag, 60)
            assert await shop.member_coupons() == 0

    run_virtually(story())


def test_a_welcome_back_offer_of_another_zone_waits_for_that_zone() -> None:
    async def story() -> None:
        elsewhere = _welcome_back(trigger={"on": "welcome_back", "dwell_s": 20, "zone": "cafe"})
        async with _open(elsewhere) as shop:
            await shop.carry(shop.member_tag, 60)
            assert await shop.member_coupons() == 0

    run_virtually(story())


def test_a_radio_that_fails_is_tried_again_and_its_cause_told_until_it_hears() -> None:
    async def story() -> None:
        radio = LoudRadio(breaks=3)
        async with _open(radio=radio) as shop:
            assert shop.hearing.lost_cause == "the adapter is unplugged"
            await eventually(lambda: radio.sink is not None, within_s=60)
            await shop.carry(shop.guest_tag, 1)
            assert shop.hearing.lost_cause is None

    run_virtually(story())


def test_a_flood_drops_the_oldest_and_counts_what_it_dropped() -> None:
    async def story() -> None:
        async with _open() as shop:
            for _ in range(WAITING_MAX + 100):
                shop.radio.say(shop.guest_tag)
            await asyncio.sleep(1)
            assert shop.hearing.dropped == 100
            assert shop.hearing.heard == WAITING_MAX

    run_virtually(story())


def test_the_board_wakes_its_readers_at_each_change() -> None:
    async def story() -> None:
        async with _open() as shop:
            pictures = shop.board.pictures(every_s=3600)
            assert (await anext(pictures)).present == ()
            coming = asyncio.ensure_future(anext(pictures))
            await shop.carry(shop.guest_tag, 3)
            assert [happened.kind for happened in (await coming).recent] == [ChangeKind.ENTER]

    run_virtually(story())


def _renew(shop: Shop, *campaigns: Campaign, **branch: object) -> None:
    """Another bundle of the same store."""
    now = shop.premises.bundle
    changed = now.branch.model_copy(update=branch)
    shop.premises.renew(now.model_copy(update={"branch": changed, "campaigns": campaigns}))


def test_another_bundle_keeps_who_is_here_and_lets_go_who_is_no_longer_ours() -> None:
    async def story() -> None:
        async with _open() as shop:
            await asyncio.gather(shop.carry(shop.guest_tag, 40), shop.carry(shop.member_tag, 40))
            _renew(shop, beacons=(shop.guest_tag,))
            await asyncio.gather(shop.carry(shop.guest_tag, 30), shop.carry(shop.member_tag, 30))
            (here,) = shop.board.picture().present
            assert here.beacon == "guest-tag"
            assert here.dwell_s > 65
            assert sorted(await shop.changes()) == [
                ("guest-tag", "dwell"),
                ("guest-tag", "enter"),
                ("member-tag", "enter"),
                ("member-tag", "leave"),
            ]

    run_virtually(story())


def test_a_tag_that_is_given_to_a_member_meanwhile_brings_that_member_the_new_offer() -> None:
    async def story() -> None:
        async with _open() as shop:
            await shop.carry(shop.guest_tag, 10)
            given = shop.guest_tag.model_copy(update={"member": MemberId("m-1001")})
            _renew(shop, _welcome_back(), beacons=(given,))
            await shop.carry(shop.guest_tag, 20)
            assert await shop.member_coupons() == 1

    run_virtually(story())


def test_a_beacon_that_came_with_the_bundle_is_heard_and_shown() -> None:
    async def story() -> None:
        async with _open() as shop:
            new = shop.guest_tag.model_copy(update={"name": "new-tag"})
            _renew(shop, beacons=(shop.member_tag, new))
            await asyncio.sleep(1)
            await shop.carry(new, 5)
            assert [present.beacon for present in shop.board.picture().present] == ["new-tag"]

    run_virtually(story())


def test_the_radio_is_retuned_by_other_receivers_alone() -> None:
    async def story() -> None:
        async with _open() as shop:
            branch = shop.premises.bundle.branch
            _renew(shop, name="Harbour Street 2")
            await asyncio.sleep(1)
            assert shop.radio.tuned_to is None
            agent = branch.agents[0].model_dump(mode="json")
            agent["receivers"] = [{"adapter": "hci1", "zone": "cafe"}]
            _renew(shop, agents=(Agent.model_validate(agent),))
            await asyncio.sleep(1)
            assert shop.radio.tuned_to == ("hci1",)

    run_virtually(story())
