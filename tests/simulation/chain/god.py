"""The god view of a chain: what must hold at every step, and what must be equal once everything is healed."""

from collections import Counter
from collections.abc import Iterable, Sequence

from cloud_api.adapters.packing import ZstdPacking
from cloud_api.ports.storage import LaneKey
from engagement.campaign.model import Campaign
from engagement.campaign.state import stop_key
from engagement.campaign.tally import CampaignTally, campaign_tally_key
from engagement.coupon.coupon import CouponRecord
from engagement.ids import AgentName, CampaignId, CouponId, RedemptionId
from engagement.journal.batch import decode_batch
from engagement.journal.entry import Entry
from engagement.journal.event import CouponIssued, CouponRedeemed, Lane
from engagement.rights.account import Account
from engagement.rights.amount import NOTHING, Amount
from engagement.rights.lease import LeaseAccount, lease_key
from tests.simulation.chain.hq import HqDisk
from tests.simulation.chain.store import SimStore
from tests.simulation.trace import Trace

_ENTRIES_MAX = 10_000
_UNPACKED_BYTES_MAX = 2**24


class God(Trace):
    """``shown`` and ``redeemed``: what people were told, and nothing else."""

    def __init__(self, campaigns: Iterable[Campaign]) -> None:
        super().__init__()
        self.budgets = {
            each.id: Amount(units=each.budget.units, minor=each.budget.spend_minor) for each in campaigns
        }
        self.shown: dict[CouponId, CouponRecord] = {}
        self.redeemed: dict[CouponId, RedemptionId] = {}
        self._serials: dict[tuple[AgentName, int], CouponId] = {}

    def saw_coupon(self, agent: AgentName, coupon: CouponRecord) -> None:
        self.note("issued", agent, coupon.coupon)
        other = self._serials.setdefault((agent, coupon.serial), coupon.coupon)
        self.demand(other == coupon.coupon, f"{agent}: serial {coupon.serial} is {other} and {coupon.coupon}")
        self.shown[coupon.coupon] = coupon
        out = Counter(each.campaign for each in self.shown.values())[coupon.campaign]
        self.demand(
            out <= self.budgets[coupon.campaign].units, f"{out} coupons of {coupon.campaign} were shown"
        )

    def saw_redemption(self, coupon: CouponId, redemption: RedemptionId) -> None:
        self.note("redeemed", coupon)
        other = self.redeemed.setdefault(coupon, redemption)
        self.demand(other == redemption, f"{coupon} was redeemed twice")

    async def audit_rights(self, stores: Sequence[SimStore], disk: HqDisk) -> None:
        """At any instant: what all ledgers may give out or gave out is within the budget; HQ's sums are its accounts'."""
        rights = disk.rights.file
        for campaign, budget in self.budgets.items():
            out = NOTHING
            for store in stores:
                out += await _out_of(store, campaign)
            self.demand(budget.covers(out), f"stores have {out} of {campaign}, the budget is {budget}")
            booked = NOTHING
            for accounts in rights.accounts.values():
                if campaign in accounts:
                    booked += accounts[campaign].outstanding
            kept = rights.outstanding.get(campaign, NOTHING)
            self.demand(booked == kept, f"HQ's leases of {campaign} come to {booked}, its sum says {kept}")

    async def audit_equal(self, stores: Sequence[SimStore], disk: HqDisk) -> None:
        """After healing: every number at HQ is the stores'."""
        for store in stores:
            for lane in Lane:
                key = LaneKey(store.agent, lane, store.disk.epoch)
                theirs = _entries_at(disk, key)
                ours = store.disk.journal[lane]
                self.demand(
                    [(each.seq, each.head) for each in theirs] == [(each.seq, each.head) for each in ours],
                    f"{store.agent} {lane}: HQ has {len(theirs)} entries, the store {len(ours)}",
                )
            self._compare_money(store, disk)
            await self._compare_rights(store, disk)
            for stop in disk.estate.whole.stops:
                kept = (await store.at_rest().fetch([stop_key(stop.campaign)])).get(stop_key(stop.campaign))
                self.demand(kept is not None, f"{store.agent} has not stopped {stop.campaign}")
        events = [entry.event for store in stores for entry in store.disk.journal[Lane.MONEY]]
        issued = {event.coupon for event in events if isinstance(event, CouponIssued)}
        redeemed = {event.coupon for event in events if isinstance(event, CouponRedeemed)}
        self.demand(self.shown.keys() <= issued, "a coupon was shown that no journal has")
        self.demand(self.redeemed.keys() <= redeemed, "a redemption was told that no journal has")

    def _compare_money(self, store: SimStore, disk: HqDisk) -> None:
        lane = disk.storage.stored.get(LaneKey(store.agent, Lane.MONEY, store.disk.epoch))
        theirs = Counter(
            (line.what, line.campaign, line.amount_minor) for line in (lane.money if lane else ())
        )
        ours: Counter[tuple[str, CampaignId | None, int]] = Counter()
        for entry in store.disk.journal[Lane.MONEY]:
            match entry.event:
                case CouponIssued() as event:
                    ours[event.what, event.campaign, event.liability_minor] += 1
                case CouponRedeemed() as event:
                    ours[event.what, event.campaign, event.discount_minor] += 1
                case event:
                    ours[event.what, getattr(event, "campaign", None), 0] += 1
        self.demand(
            theirs == ours, f"{store.agent}: HQ's money lines are {theirs - ours} more, {ours - theirs} less"
        )

    async def _compare_rights(self, store: SimStore, disk: HqDisk) -> None:
        at_hq = next(
            (
                accounts
                for key, accounts in disk.rights.file.accounts.items()
                if (key.agent, key.epoch) == (store.agent, store.disk.epoch)
            ),
            {},
        )
        for campaign in self.budgets:
            account, tally = await _books_of(store, campaign)
            if account is None:
                continue
            hq, used = at_hq.get(campaign, Account()), account.used(tally)
            outstanding = account.granted - account.returned
            self.demand(
                (hq.outstanding, hq.used) == (outstanding, used),
                f"{store.agent}: HQ has {hq} of {campaign}; of the store's {outstanding} are used {used}",
            )


async def _books_of(store: SimStore, campaign: CampaignId) -> tuple[LeaseAccount | None, CampaignTally]:
    rows = await store.at_rest().fetch([lease_key(campaign), campaign_tally_key(campaign)])
    tally = rows.get(campaign_tally_key(campaign)) or CampaignTally(id=campaign)
    return rows.get(lease_key(campaign)), tally


async def _out_of(store: SimStore, campaign: CampaignId) -> Amount:
    """What the store's disk says was given out or may be."""
    account, tally = await _books_of(store, campaign)
    given = Amount(units=tally.units, minor=tally.spend_minor)
    return given if account is None else given + account.left(tally)


def _entries_at(disk: HqDisk, key: LaneKey) -> Sequence[Entry]:
    lane = disk.storage.stored.get(key)
    found: list[Entry] = []
    for first in sorted(lane.segments if lane else ()):
        assert lane is not None
        unpacked = ZstdPacking().unpack(lane.segments[first][1], bytes_max=_UNPACKED_BYTES_MAX)
        found += decode_batch(unpacked, entries_max=_ENTRIES_MAX).entries
    return found
