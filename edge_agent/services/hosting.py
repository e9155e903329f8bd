"""Hosts shoppers: who is behind a phone, what they consented to, their wallet, their plays."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest

from edge_agent.ports import Gatekeeper
from edge_agent.services.issuing import Issuing
from edge_agent.services.premises import MadeOfBundle, Premises
from edge_agent.services.visit_keys import VisitKeys
from engagement.campaign.model import Campaign
from engagement.campaign.play import PlayRecord
from engagement.campaign.state import StopRecord, stop_key
from engagement.coupon.coupon import (
    CouponRecord,
    EditionRecord,
    Standing,
    coupon_key,
    edition_key,
    serial_of,
    standing,
)
from engagement.ids import CampaignId, CouponId, MemberId, SubjectId, VisitorId, visitor_subject
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.visitor.visitor import (
    VISITOR_ID_BYTES,
    Consent,
    VisitorCookie,
    consent_rule,
    link_member_rule,
    normal_member_code,
    proven_member,
    read_visitor_cookie,
    recognise_rule,
    subjects_of,
    visit_key,
    visitor_cookie,
    visitor_key,
    wallet_key,
)

# Wrong member codes one phone may send in a minute. Codes have 50 bits; this only keeps the disk quiet.
MEMBER_TRIES_MAX = 5
_MINUTE_S = 60.0
# Phones whose wrong member codes are remembered; the oldest is forgotten first.
_MEMBER_TRIES_PHONES_MAX = 4096


@dataclass(frozen=True)
class Guest:
    """A phone in front of the page. ``cookie`` is None for one that shows none of ours."""

    handset: bytes
    cookie: VisitorCookie | None


@dataclass(frozen=True)
class Card:
    """A coupon as its owner sees it, with the texts of the edition it was issued under."""

    coupon: CouponRecord
    campaign: Campaign
    standing: Standing
    stop: StopRecord | None

    @property
    def is_usable(self) -> bool:
        stopped = self.stop is not None and not self.stop.honour_issued
        return self.standing is Standing.ACTIVE and not stopped


@dataclass(frozen=True)
class Wallet:
    """What this phone may see. ``cards``: newest first, usable ones before the rest. ``cookie``: what the phone should
    keep. ``is_member``: the phone has proved its member, whose coupons are among the cards."""

    visitor: VisitorId
    cookie: str
    is_member: bool
    consent: Consent | None
    cards: tuple[Card, ...]


@dataclass(frozen=True)
class Played:
    """The answer to a play; ``card`` is the prize when it won."""

    record: PlayRecord
    card: Card | None


@dataclass(frozen=True)
class Game:
    """A shake that this visitor sees. ``plays_left``: today, at least 1; or why it cannot be played."""

    campaign: Campaign
    plays_left: int | Refusal


class Hosting:
    def __init__(self, premises: Premises, issuing: Issuing, gatekeeper: Gatekeeper, keys: VisitKeys) -> None:
        self._premises = premises
        self._issuing = issuing
        self._gatekeeper = gatekeeper
        self._keys = keys
        self._member_by_code = MadeOfBundle(
            premises, lambda bundle: {member.code_sha256: member.id for member in bundle.members}
        )
        self._member_tries: dict[bytes, tuple[float, int]] = {}

    def greet(self, address: str, cookie: str | None) -> Guest:
        """Who is at this address, without writing anything; a valid cookie outranks the address."""
        shown = read_visitor_cookie(self._keys.cookie_key, cookie) if cookie else None
        return Guest(handset=self._gatekeeper.handset(address), cookie=shown)

    async def welcome(self, guest: Guest, consent: Consent) -> Wallet | Refusal:
        """Keep the consent and give every welcome offer that the visitor has not had; returns the wallet.

        Refused: a phone that keeps changing its consent.
        Errors: StoreFull when not even the consent could be kept.
        """
        visitor = await self._recognise(guest)
        now = self._premises.clock.now()
        kept = await self._premises.store.decide([visitor_key(visitor)], consent_rule(visitor, consent, now))
        if isinstance(kept, Refusal):
            return kept
        for campaign in self._issuing.campaigns_on("welcome"):
            await self._issuing.give(campaign, visitor_subject(visitor))
        wallet = await self._wallet_of(visitor, guest.cookie)
        assert wallet is not None
        return wallet

    async def wallet(self, guest: Guest) -> Wallet | None:
        """The visitor's wallet; None for a phone that has not consented yet."""
        visitor = await self._known_visitor(guest)
        return None if visitor is None else await self._wallet_of(visitor, guest.cookie)

    async def play(self, guest: Guest, campaign: CampaignId, nonce: bytes) -> Played | Refusal:
        """One shake by a visitor who consented."""
        wallet = await self.wallet(guest)
        if wallet is None or wallet.consent is None:
            return Refusal(Reason.NO_CONSENT)
        answer = await self._issuing.play(campaign, visitor_subject(wallet.visitor), nonce)
        if isinstance(answer, Refusal):
            return answer
        return await self._with_card(answer.record)

    async def played(self, guest: Guest, campaign: CampaignId, nonce: bytes) -> Played | None:
        """A play of this visitor, shown again; None when there was none."""
        visitor = await self._known_visitor(guest)
        if visitor is None:
            return None
        record = await self._issuing.played(campaign, visitor_subject(visitor), nonce)
        return None if record is None else await self._with_card(record)

    async def games(self, wallet: Wallet) -> list[Game]:
        """The store's shakes as they stand for this visitor, those that can be played first."""
        games = [
            Game(campaign, await self._issuing.plays_left(campaign, visitor_subject(wallet.visitor)))
            for campaign in self._issuing.campaigns_on("shake")
        ]
        return sorted(games, key=lambda game: isinstance(game.plays_left, Refusal))

    async def card(self, guest: Guest, coupon: CouponId) -> Card | None:
        """One coupon of the visitor's own wallet; None when it is not in it."""
        wallet = await self.wallet(guest)
        if wallet is None:
            return None
        return next((card for card in wallet.cards if card.coupon.coupon == coupon), None)

    async def link_member(self, guest: Guest, typed_code: str) -> Wallet | Refusal:
        """Open a member's wallet on this phone by the member code; the wallet's cookie is what keeps it open.

        Errors: StoreFull.
        """
        wallet = await self.wallet(guest)
        if wallet is None or wallet.consent is None:
            return Refusal(Reason.NO_CONSENT)
        if self._too_many_member_tries(guest.handset):
            return Refusal(Reason.TOO_BUSY)
        member = self._member_of(typed_code)
        if member is None:
            return Refusal(Reason.UNKNOWN_MEMBER_CODE)
        now = self._premises.clock.now()
        await self._premises.store.decide(
            [visitor_key(wallet.visitor)], link_member_rule(wallet.visitor, member, now)
        )
        proof = visitor_cookie(self._keys.cookie_key, wallet.visitor, member)
        linked = await self._wallet_of(wallet.visitor, read_visitor_cookie(self._keys.cookie_key, proof))
        assert linked is not None
        return linked

    async def _with_card(self, record: PlayRecord) -> Played:
        if record.coupon is None:
            return Played(record, None)
        serial = serial_of(record.coupon)
        assert serial is not None
        cards = await self._cards((serial,))
        # After settlement the serial may be somebody else's coupon.
        return Played(record, next((card for card in cards if card.coupon.coupon == record.coupon), None))

    async def _recognise(self, guest: Guest) -> VisitorId:
        """The visitor behind a phone, made when there is none; today's visit is written either way."""
        now = self._premises.clock.now()
        visits = self._keys.visit_ids(guest.handset)
        candidate = VisitorId(self._premises.entropy.token(VISITOR_ID_BYTES).hex())
        return await self._premises.store.decide(
            [visit_key(visit) for visit in visits],
            recognise_rule(visits, candidate, now, by_cookie=guest.cookie.visitor if guest.cookie else None),
        )

    async def _known_visitor(self, guest: Guest) -> VisitorId | None:
        if guest.cookie is not None:
            return guest.cookie.visitor
        keys = [visit_key(visit) for visit in self._keys.visit_ids(guest.handset)]
        rows = await self._premises.store.fetch(keys)
        return next((row.visitor for key in keys if (row := rows.get(key)) is not None), None)

    async def _wallet_of(self, visitor: VisitorId, shown: VisitorCookie | None) -> Wallet | None:
        """The wallet as a phone with this cookie may see it; its own cookie proves no more than the one shown."""
        store = self._premises.store
        row = (await store.fetch([visitor_key(visitor)])).get(visitor_key(visitor))
        if row is None:
            return None
        member = proven_member(self._keys.cookie_key, shown, row)
        subjects = subjects_of(visitor, member)
        keys = [wallet_key(subject) for subject in subjects]
        rows = await store.fetch(keys)
        serials = [serial for key in keys if (held := rows.get(key)) for serial in held.serials]
        cards = await self._cards(serials, of=subjects)
        return Wallet(
            visitor=visitor,
            cookie=visitor_cookie(self._keys.cookie_key, visitor, member),
            is_member=member is not None,
            consent=row.consent,
            cards=tuple(sorted(cards, key=lambda card: (not card.is_usable, -card.coupon.issued_ms))),
        )

    async def _cards(self, serials: Sequence[int], of: Collection[SubjectId] | None = None) -> list[Card]:
        """Cards of the serials that still name coupons (of these subjects, when given)."""
        store, now = self._premises.store, self._premises.clock.now()
        coupon_rows = await store.fetch([coupon_key(serial) for serial in serials])
        coupons = [row for serial in serials if (row := coupon_rows.get(coupon_key(serial)))]
        if of is not None:
            # A wallet may name a serial that has since come round to somebody else's coupon.
            coupons = [coupon for coupon in coupons if coupon.subject in of]
        edition_keys = {edition_key(coupon.campaign, coupon.edition) for coupon in coupons}
        stop_keys = {stop_key(coupon.campaign) for coupon in coupons}
        rows = await store.fetch([*edition_keys, *stop_keys])
        cards: list[Card] = []
        for coupon in coupons:
            edition: EditionRecord | None = rows.get(edition_key(coupon.campaign, coupon.edition))
            assert edition is not None, "an edition is written with its first coupon"
            cards.append(
                Card(coupon, edition.campaign, standing(coupon, now), rows.get(stop_key(coupon.campaign)))
            )
        return cards

    def _member_of(self, typed_code: str) -> MemberId | None:
        given = sha256(normal_member_code(typed_code).encode()).hexdigest()
        found: MemberId | None = None
        for code_sha256, member in self._member_by_code.now.items():
            if compare_digest(code_sha256, given):
                found = member
        return found

    def _too_many_member_tries(self, handset: bytes) -> bool:
        now_s = self._premises.clock.mono_s()
        started_s, tries = self._member_tries.get(handset, (now_s, 0))
        if now_s - started_s >= _MINUTE_S:
            started_s, tries = now_s, 0
        self._member_tries.pop(handset, None)
        self._member_tries[handset] = (started_s, tries + 1)
        while len(self._member_tries) > _MEMBER_TRIES_PHONES_MAX:
            del self._member_tries[next(iter(self._member_tries))]
        return tries >= MEMBER_TRIES_MAX
