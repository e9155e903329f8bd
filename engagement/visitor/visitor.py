"""Visitors, their visits and their consent.

A visitor is a random pseudonym. A visit ties the phone on the Wi-Fi to it for a day or two, by an HMAC that
nobody can undo once the day key is destroyed. A member is somebody who proved it with a code; from then on the
cookie that the code was answered with proves it, and nothing else does.
"""

from hashlib import sha256
from hmac import compare_digest
from hmac import new as hmac_new
from typing import ClassVar

from engagement.clock.moment import Moment
from engagement.ids import MemberId, SubjectId, VisitorId, member_subject, visitor_subject
from engagement.journal.event import ConsentGiven, MemberLinked
from engagement.ledger.record import Key, Record, Rows, Rule, Ruling
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.values import Value

VISITOR_ID_BYTES = 10
_COOKIE_MAC_CHARS = 32
# Each changed consent is journaled for good: more than anybody in doubt needs, too few to fill a disk with.
CONSENTS_PER_HOUR_MAX = 20
_HOUR_MS = 3_600_000


class Consent(Value):
    """What was agreed to, and the exact text: ``text_sha256`` of the terms shown, in ``language``."""

    given_ms: int
    analytics: bool
    marketing: bool
    language: str
    text_sha256: str


class VisitorRecord(Record):
    """``consents``: how often the consent changed in ``consents_hour``, which counts hours from the Unix epoch."""

    kind: ClassVar[str] = "visitor"
    consent: Consent | None = None
    member: MemberId | None = None
    consents_hour: int = 0
    consents: int = 0


class VisitorCookie(Value):
    """What a phone's cookie says of it: the visitor is proved; ``member_mac`` proves the visitor's member, or nothing."""

    visitor: VisitorId
    member_mac: str | None = None


class VisitRecord(Record):
    """Keyed by visit id: which visitor the phone behind it is."""

    kind: ClassVar[str] = "visit"
    visitor: VisitorId
    seen_ms: int


class WalletRecord(Record):
    """Keyed by subject: serials of its coupons, oldest first."""

    kind: ClassVar[str] = "wallet"
    serials: tuple[int, ...] = ()


# More coupons than this on one phone are abuse or a test; the oldest leave the wallet, not the ledger.
WALLET_MAX = 200


def visit_id(day_key: bytes, handset: bytes) -> str:
    """An identifier of a phone's visit that is void once the day key is destroyed: HMAC-SHA256, 32 hex digits."""
    return hmac_new(day_key, handset, sha256).hexdigest()[:32]


def visitor_cookie(key: bytes, visitor: VisitorId, member: MemberId | None = None) -> str:
    """The value of the visitor cookie: ``<visitor>.<mac>``, and ``.<member mac>`` for a phone that proved its member."""
    plain = f"{visitor}.{_cookie_mac(key, f'visitor|{visitor}')}"
    return plain if member is None else f"{plain}.{_member_mac(key, visitor, member)}"


def read_visitor_cookie(key: bytes, cookie: str) -> VisitorCookie | None:
    """What a cookie says; None when its visitor was not signed by us."""
    if not cookie.isascii():  # a header may hold bytes that are no text at all
        return None
    visitor, _, rest = cookie.partition(".")
    mac, dot, member_mac = rest.partition(".")
    expected = visitor_cookie(key, VisitorId(visitor))
    if not compare_digest(expected.encode(), f"{visitor}.{mac}".encode()):
        return None
    return VisitorCookie(visitor=VisitorId(visitor), member_mac=member_mac if dot else None)


def proven_member(key: bytes, cookie: VisitorCookie | None, visitor: VisitorRecord) -> MemberId | None:
    """The visitor's member, when this phone's cookie proves it: not for a phone that is known by its address alone."""
    if cookie is None or cookie.member_mac is None or visitor.member is None:
        return None
    expected = _member_mac(key, VisitorId(visitor.id), visitor.member)
    return visitor.member if compare_digest(expected.encode(), cookie.member_mac.encode()) else None


def _member_mac(key: bytes, visitor: VisitorId, member: MemberId) -> str:
    return _cookie_mac(key, f"member|{visitor}|{member}")


def _cookie_mac(key: bytes, text: str) -> str:
    return hmac_new(key, text.encode(), sha256).hexdigest()[:_COOKIE_MAC_CHARS]


def normal_member_code(typed: str) -> str:
    """A member code as typed, in the form that was hashed: upper case, letters and digits only."""
    return "".join(character for character in typed.upper() if character.isascii() and character.isalnum())


def visitor_key(visitor: VisitorId) -> Key[VisitorRecord]:
    return Key(VisitorRecord, visitor)


def visit_key(visit: str) -> Key[VisitRecord]:
    return Key(VisitRecord, visit)


def wallet_key(subject: SubjectId) -> Key[WalletRecord]:
    return Key(WalletRecord, subject)


def subjects_of(visitor: VisitorId, member: MemberId | None) -> tuple[SubjectId, ...]:
    """Whose coupons a wallet shows: the phone's own, and those of the member that this phone proved."""
    own = visitor_subject(visitor)
    return (own,) if member is None else (own, member_subject(member))


def recognise_rule(
    visits: tuple[str, ...], candidate: VisitorId, now: Moment, *, by_cookie: VisitorId | None = None
) -> Rule[VisitorId]:
    """Which visitor a phone is: the cookie's, else the one that any of its live visits names, else the candidate.

    ``visits``: the phone's visit ids, today's first. Today's names that visitor from then on, so that yesterday's key
    can go and the phone is known for a day without its cookie.
    """

    def rule(rows: Rows) -> Ruling[VisitorId]:
        known = next((row for visit in visits if (row := rows.get(visit_key(visit))) is not None), None)
        visitor = by_cookie or (known.visitor if known is not None else candidate)
        today = rows.get(visit_key(visits[0]))
        if today is not None and today.visitor == visitor:
            return Ruling(visitor)
        return Ruling(visitor, writes=(VisitRecord(id=visits[0], visitor=visitor, seen_ms=now.wall_ms),))

    return rule


def consent_rule(visitor: VisitorId, consent: Consent, now: Moment) -> Rule[VisitorRecord | Refusal]:
    """Keep a consent; the same one again is not journaled twice, and a phone that changes it on and on is refused."""
    hour = now.wall_ms // _HOUR_MS

    def rule(rows: Rows) -> Ruling[VisitorRecord | Refusal]:
        before = rows.get(visitor_key(visitor)) or VisitorRecord(id=visitor)
        if before.consent is not None and _same_terms(before.consent, consent):
            return Ruling(before)
        changed = before.consents if before.consents_hour == hour else 0
        if changed >= CONSENTS_PER_HOUR_MAX:
            return Ruling(Refusal(Reason.TOO_BUSY))
        after = before.model_copy(update={"consent": consent, "consents_hour": hour, "consents": changed + 1})
        event = ConsentGiven(
            moment=now,
            visitor=visitor,
            analytics=consent.analytics,
            marketing=consent.marketing,
            language=consent.language,
            text_sha256=consent.text_sha256,
        )
        return Ruling(after, writes=(after,), events=(event,))

    return rule


def _same_terms(one: Consent, other: Consent) -> bool:
    return one.model_copy(update={"given_ms": 0}) == other.model_copy(update={"given_ms": 0})


def link_member_rule(visitor: VisitorId, member: MemberId, now: Moment) -> Rule[VisitorRecord]:
    """Open the member's wallet on this phone, beside the phone's own."""

    def rule(rows: Rows) -> Ruling[VisitorRecord]:
        before = rows.get(visitor_key(visitor)) or VisitorRecord(id=visitor)
        if before.member == member:
            return Ruling(before)
        after = before.model_copy(update={"member": member})
        return Ruling(after, writes=(after,), events=(MemberLinked(moment=now, visitor=visitor),))

    return rule
