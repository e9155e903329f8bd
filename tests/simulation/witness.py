"""The god view: what people were told, and nothing else, and what must therefore be true.

Every answer passes here. A wrong one is a violation; so is a store that, looked into, contradicts what was told.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from edge_agent.adapters.memory_store import MemoryStore
from edge_agent.services.hosting import Card, Played, Wallet
from engagement.campaign.model import Campaign
from engagement.clock.moment import Moment
from engagement.coupon.coupon import CouponRecord
from engagement.ids import CampaignId, CouponId, LocalDay, RedemptionId, RequestId, VisitorId
from engagement.journal.entry import Entry
from engagement.journal.event import CouponIssued, CouponRedeemed, Lane, RedemptionUndone
from engagement.journal.tip import LaneTip, first_break
from engagement.ledger.record import Record
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.till.attempt import Accepted, Undone
from engagement.till.sheet import SheetLine
from tests.simulation.box import true_ms
from tests.simulation.trace import Trace

# How far a box's clock may be off at most, by its own word.
ERROR_MS_MAX = 5 * 60_000
_PAGE = 10_000


@dataclass
class Told:
    """What is known of one coupon from answers. ``sent``: how often each request was sent for it, answered or not;
    ``settled``: requests that cannot hold it any more, because they were refused or undone."""

    coupon: CouponRecord
    visitor: VisitorId
    sent: Counter[RequestId] = field(default_factory=Counter)
    settled: set[RequestId] = field(default_factory=set)
    accepted: dict[RequestId, Accepted] = field(default_factory=dict)
    undo_sent: set[RedemptionId] = field(default_factory=set)
    undone: set[RedemptionId] = field(default_factory=set)


class Witness(Trace):
    def __init__(self, campaigns: tuple[Campaign, ...]) -> None:
        super().__init__()
        self._campaigns = {campaign.id: campaign for campaign in campaigns}
        self._heads: dict[Lane, list[bytes]] = {lane: [] for lane in Lane}
        self._plays: dict[tuple[VisitorId, bytes], tuple[bool, CouponId | None, str]] = {}
        self._serials: dict[int, CouponId] = {}
        self.told: dict[CouponId, Told] = {}
        self.stops: set[CampaignId] = set()
        self.hard_stops: set[CampaignId] = set()

    # What shoppers are told.

    def saw_wallet(self, wallet: Wallet) -> None:
        self.note("wallet", wallet.visitor, *(card.coupon.coupon for card in wallet.cards))
        for card in wallet.cards:
            self.saw_card(wallet.visitor, card)
        shown = {card.coupon.coupon for card in wallet.cards}
        missing = [
            coupon
            for coupon, told in self.told.items()
            if told.visitor == wallet.visitor and coupon not in shown
        ]
        self.demand(not missing, f"{wallet.visitor} was shown {missing}, gone from the wallet")

    def saw_card(self, visitor: VisitorId, card: Card) -> None:
        coupon = card.coupon
        told = self.told.get(coupon.coupon)
        if told is None:
            first = self._serials.setdefault(coupon.serial, coupon.coupon)
            self.demand(first == coupon.coupon, f"serial {coupon.serial} was shown for {first} before")
            self.told[coupon.coupon] = Told(coupon, visitor)
            self._count_issued(card.campaign, visitor)
            return
        same = ("code", "short_code", "not_before_ms", "not_after_ms", "offer", "subject")
        changed = [name for name in same if getattr(coupon, name) != getattr(told.coupon, name)]
        self.demand(not changed, f"{coupon.coupon} came back with another {changed}")
        self.demand(told.visitor == visitor, f"{coupon.coupon} is in two wallets")

    def _count_issued(self, campaign: Campaign, visitor: VisitorId) -> None:
        given = [told for told in self.told.values() if told.coupon.campaign == campaign.id]
        spent_minor = sum(told.coupon.offer.liability_minor for told in given)
        self.demand(len(given) <= campaign.budget.units, f"{campaign.id}: {len(given)} units given")
        self.demand(spent_minor <= campaign.budget.spend_minor, f"{campaign.id}: {spent_minor} fen given")
        own = sum(1 for told in given if told.visitor == visitor)
        self.demand(own <= campaign.limits.issue, f"{campaign.id}: {own} coupons for one visitor")

    def saw_play(self, visitor: VisitorId, nonce: bytes, played: Played) -> None:
        record = played.record
        self.note("played", visitor, nonce.hex(), record.won, record.coupon)
        now_told = (record.won, record.coupon, record.receipt.model_dump_json())
        before = self._plays.setdefault((visitor, nonce), now_told)
        self.demand(before == now_told, f"play {nonce.hex()} was answered differently before")
        self.demand(record.won == (played.card is not None), "a win comes with its coupon")
        if played.card is not None:
            self.saw_card(visitor, played.card)

    def saw_issue_refused(self, campaign: CampaignId, refusal: Refusal) -> None:
        self.note("issue refused", campaign, refusal.reason)
        self.demand(
            refusal.reason is not Reason.CAMPAIGN_STOPPED or campaign in self.stops,
            f"{campaign} is said to be stopped, and nobody stopped it",
        )

    def sends_stop(self, campaign: CampaignId, *, honour_issued: bool) -> None:
        self.note("stop", campaign, honour_issued)
        self.stops.add(campaign)
        if not honour_issued:
            self.hard_stops.add(campaign)

    # What tills are told.

    def sends_redemption(self, coupon: CouponRecord, request: RequestId) -> None:
        self.note("redeem", request, coupon.coupon)
        self.told[coupon.coupon].sent[request] += 1

    def saw_redemption(
        self, coupon: CouponRecord, request: RequestId, answer: Accepted | Undone | Refusal, *, alone: bool
    ) -> None:
        """``alone``: the coupon was intact, on an order of its own, with enough in the basket."""
        told = self.told[coupon.coupon]
        before = told.accepted.get(request)
        if isinstance(answer, Refusal):
            self.note("refused", request, answer.reason)
            self.demand(before is None, f"{request} was accepted before, and is now {answer.reason}")
            self.demand(not alone or self._may_refuse(told, request, answer), f"{request}: {answer}")
            if told.sent[request] == 1:
                told.settled.add(request)
            return
        self.note(type(answer).__name__.lower(), request, answer.redemption)
        self.demand(
            before is None or before.redemption == answer.redemption, f"{request} led to two redemptions"
        )
        if isinstance(answer, Undone):
            self.demand(answer.redemption in told.undo_sent, f"{request}: undone, and nobody undid it")
            told.settled.add(request)
            return
        self.demand(answer.redemption not in told.undone, f"{request}: accepted again after its undo")
        self.demand(
            before is None or before.discount_minor == answer.discount_minor, f"{request}: two discounts"
        )
        if before is None:
            self._accept(told, request, answer)

    def _accept(self, told: Told, request: RequestId, answer: Accepted) -> None:
        coupon = told.coupon
        for other in told.accepted.values():
            self.demand(
                other.redemption in told.undo_sent, f"{coupon.coupon} was redeemed twice, again by {request}"
            )
        late_ms = true_ms() - coupon.not_after_ms
        self.demand(late_ms <= 2 * ERROR_MS_MAX, f"{coupon.coupon} was accepted {late_ms} ms too late")
        self.demand(answer.discount_minor <= coupon.offer.liability_minor, f"{request}: too much off")
        told.accepted[request] = answer

    def _may_refuse(self, told: Told, request: RequestId, refusal: Refusal) -> bool:
        coupon = told.coupon
        may = {
            Reason.ALREADY_REDEEMED: bool(told.sent.keys() - told.settled - {request}),
            Reason.EXPIRED: true_ms() > coupon.not_after_ms,
            Reason.CAMPAIGN_STOPPED: coupon.campaign in self.hard_stops,
            Reason.TOO_MANY_TRIES: self.seen["wrong code"] > 0,
        }
        return may.get(refusal.reason, False)

    def sends_undo(self, coupon: CouponRecord, redemption: RedemptionId) -> None:
        self.note("undo", redemption)
        self.told[coupon.coupon].undo_sent.add(redemption)

    def saw_undo(self, coupon: CouponRecord, redemption: RedemptionId, answer: Undone | Refusal) -> None:
        told = self.told[coupon.coupon]
        self.note("undo answered", redemption, answer.reason if isinstance(answer, Refusal) else "undone")
        if isinstance(answer, Undone):
            told.undone.add(redemption)
            told.settled.update(
                request for request, made in told.accepted.items() if made.redemption == redemption
            )
            return
        self.demand(redemption not in told.undone, f"{redemption} was undone before, now {answer.reason}")
        self.demand(
            answer.reason is Reason.UNDO_TOO_LATE, f"the undo of {redemption} was refused: {answer.reason}"
        )

    # What a look into the store shows.

    async def audit(self, store: MemoryStore, day_of: Callable[[Moment], LocalDay]) -> None:
        """The durable half, at rest: chain, sheets and rows agree, and nothing that was told is missing."""
        lanes = {lane: await store.entries(lane, after_seq=0, limit=_PAGE) for lane in Lane}
        for lane, entries in lanes.items():
            self._audit_chain(lane, entries)
        money = [entry.event for entry in lanes[Lane.MONEY]]
        stamps = sorted(entry.stamp for entries in lanes.values() for entry in entries)
        self.demand(all(a < b for a, b in pairwise(stamps)), "two journal entries have one stamp")

        redeemed: dict[CouponId, RedemptionId | None] = {}
        sums: dict[tuple[LocalDay, CampaignId], Counter[str]] = defaultdict(Counter)
        for event in money:
            if isinstance(event, CouponIssued):
                self.demand(event.coupon not in redeemed, f"{event.coupon} was issued twice")
                redeemed[event.coupon] = None
                name, minor = "issued", event.liability_minor
            elif isinstance(event, CouponRedeemed):
                self.demand(
                    redeemed.get(event.coupon, event.redemption) is None,
                    f"{event.coupon} was redeemed twice, or never issued",
                )
                redeemed[event.coupon] = event.redemption
                name, minor = "redeemed", event.discount_minor
            elif isinstance(event, RedemptionUndone):
                self.demand(
                    redeemed.get(event.coupon) == event.redemption, f"{event.redemption} was not there"
                )
                redeemed[event.coupon] = None
                name, minor = "undone", event.discount_minor
            else:
                continue
            sums[day_of(event.moment), event.campaign].update({name: 1, f"{name}_minor": minor})

        await self._audit_sheets(store, sums)
        rows = await self._all(store, CouponRecord)
        held = {row.coupon: row.redemption.id if row.redemption else None for row in rows}
        self.demand(held == redeemed, "the journal and the coupons' rows tell different stories")
        lost = [coupon for coupon in self.told if coupon not in held]
        self.demand(not lost, f"shown coupons {lost} are not in the ledger")
        self._audit_redemptions(money)

    def _audit_chain(self, lane: Lane, entries: list[Entry]) -> None:
        self.demand(first_break(entries, LaneTip()) is None, f"the chain of {lane} is broken")
        heads, known = [entry.head for entry in entries], self._heads[lane]
        self.demand(heads[: len(known)] == known, f"{lane} lost or changed entries that were durable")
        self._heads[lane] = heads

    async def _audit_sheets(
        self, store: MemoryStore, sums: dict[tuple[LocalDay, CampaignId], Counter[str]]
    ) -> None:
        names = [f"{what}{unit}" for what in ("issued", "redeemed", "undone") for unit in ("", "_minor")]
        sheets = {(line.day, line.campaign): line for line in await self._all(store, SheetLine)}
        for where in sorted(sheets.keys() | sums.keys()):
            line = sheets.get(where)
            on_sheet = {name: getattr(line, name) if line else 0 for name in names}
            told = {name: sums[where][name] for name in names}
            self.demand(on_sheet == told, f"the sheet of {where} says {on_sheet}, the journal {told}")

    def _audit_redemptions(self, money: Sequence[object]) -> None:
        made = {event.redemption for event in money if isinstance(event, CouponRedeemed)}
        undone = {event.redemption for event in money if isinstance(event, RedemptionUndone)}
        for told in self.told.values():
            for answer in told.accepted.values():
                self.demand(answer.redemption in made, f"accepted {answer.redemption} is not journaled")
            self.demand(told.undone <= undone, f"an undo of {told.coupon.coupon} is not journaled")

    async def _all(self, store: MemoryStore, kind: type[Record]) -> list:  # type: ignore[type-arg]
        return await store.scan(kind, after_id="", limit=_PAGE)
