"""Who a phone is: by its visit, by its cookie, by a member's code."""

from engagement.clock.moment import Moment
from engagement.ids import MemberId, VisitorId
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.visitor.visitor import (
    CONSENTS_PER_HOUR_MAX,
    Consent,
    VisitorCookie,
    VisitorRecord,
    consent_rule,
    link_member_rule,
    normal_member_code,
    proven_member,
    read_visitor_cookie,
    recognise_rule,
    subjects_of,
    visit_id,
    visit_key,
    visitor_cookie,
    visitor_key,
)
from tests.fakes.dict_ledger import DictLedger
from tests.fakes.shop import DAY_MS, HOUR_MS, NOON_MS, moment

ANNA, BERT, CARL = VisitorId("0a" * 10), VisitorId("0b" * 10), VisitorId("0c" * 10)
KEY, OTHER_KEY = b"k" * 32, b"x" * 32
TEA, RICE = MemberId("m-1"), MemberId("m-2")
PHONE = b"what the gatekeeper says of a phone"
CONSENT = Consent(
    given_ms=NOON_MS, analytics=True, marketing=False, language="en", text_sha256="5" * 64
)  # fmt: skip


def recognise(
    ledger: DictLedger, visits: tuple[str, ...], candidate: VisitorId, now: Moment | None = None
) -> VisitorId:
    keys = [visit_key(visit) for visit in visits]
    return ledger.decide(keys, recognise_rule(visits, candidate, now or moment()))


def test_a_visit_is_the_phones_under_one_day_key_only() -> None:
    assert visit_id(KEY, PHONE) == visit_id(KEY, PHONE)
    assert len({visit_id(KEY, PHONE), visit_id(OTHER_KEY, PHONE), visit_id(KEY, b"another")}) == 3


def test_a_phone_keeps_its_visitor_from_one_day_key_to_the_next_and_no_longer() -> None:
    ledger = DictLedger()
    assert recognise(ledger, ("monday",), ANNA) == ANNA
    assert recognise(ledger, ("monday",), BERT) == ANNA
    assert recognise(ledger, ("tuesday", "monday"), BERT) == ANNA
    assert recognise(ledger, ("wednesday", "tuesday"), BERT) == ANNA, "tuesday's visit was written on tuesday"
    assert recognise(ledger, ("friday", "thursday"), BERT) == BERT


def test_a_cookie_outranks_the_visits_and_keeps_its_phone_known() -> None:
    ledger = DictLedger()

    def by_cookie(visits: tuple[str, ...], cookie: VisitorId) -> VisitorId:
        keys = [visit_key(visit) for visit in visits]
        return ledger.decide(keys, recognise_rule(visits, CARL, moment(), by_cookie=cookie))

    assert by_cookie(("monday",), ANNA) == ANNA
    assert recognise(ledger, ("monday",), BERT) == ANNA, "without the cookie it is still her phone"
    assert by_cookie(("tuesday", "monday"), ANNA) == ANNA
    assert recognise(ledger, ("wednesday", "tuesday"), BERT) == ANNA
    assert by_cookie(("wednesday", "tuesday"), BERT) == BERT
    assert recognise(ledger, ("wednesday", "tuesday"), CARL) == BERT, "what was seen there last"


def test_a_cookie_proves_its_visitor_and_nothing_else_does() -> None:
    cookie = visitor_cookie(KEY, ANNA)
    assert read_visitor_cookie(KEY, cookie) == VisitorCookie(visitor=ANNA)
    assert read_visitor_cookie(OTHER_KEY, cookie) is None
    assert read_visitor_cookie(KEY, cookie.replace("0a", "0b")) is None
    for wrong in (
        "",
        ".",
        "..",
        ANNA,
        f"{ANNA}.",
        f"{ANNA}..",
        cookie + "0",
        cookie[:-1],
        cookie.upper(),
        "\udcff.é",
    ):
        assert read_visitor_cookie(KEY, wrong) is None


def test_a_plain_cookie_has_the_form_that_phones_already_keep() -> None:
    assert visitor_cookie(KEY, ANNA) == "0a0a0a0a0a0a0a0a0a0a.8a6f1dc58f576e747dbe8aa07ed3b25e"


def test_a_member_is_proved_by_the_cookie_made_for_this_visitor_and_this_member() -> None:
    linked = VisitorRecord(id=ANNA, member=TEA)

    def proven(cookie: str, visitor: VisitorRecord = linked) -> MemberId | None:
        return proven_member(KEY, read_visitor_cookie(KEY, cookie), visitor)

    cookie, plain = visitor_cookie(KEY, ANNA, TEA), visitor_cookie(KEY, ANNA)
    assert cookie.startswith(f"{plain}.")
    assert proven(cookie) == TEA
    assert proven(cookie, VisitorRecord(id=ANNA)) is None
    assert proven(cookie, VisitorRecord(id=ANNA, member=RICE)) is None
    assert proven_member(KEY, None, linked) is None
    mac, berts = plain.partition(".")[2], visitor_cookie(KEY, BERT, TEA).rpartition(".")[2]
    rices = visitor_cookie(KEY, ANNA, RICE).rpartition(".")[2]
    for wrong in ("", ".", mac, berts, rices, TEA):
        assert proven(f"{plain}.{wrong}") is None
    for wrong in (plain, cookie + "0", cookie[:-1], f"{cookie}.", f"{cookie}.{mac}"):
        assert proven(wrong) is None


def test_the_same_consent_again_is_not_journaled_twice() -> None:
    ledger = DictLedger()
    keys = [visitor_key(ANNA)]
    first = ledger.decide(keys, consent_rule(ANNA, CONSENT, moment()))
    later = CONSENT.model_copy(update={"given_ms": NOON_MS + DAY_MS})
    assert ledger.decide(keys, consent_rule(ANNA, later, moment(NOON_MS + DAY_MS))) == first
    assert isinstance(first, VisitorRecord)
    assert first.consent == CONSENT, "when it was first given is what counts"
    withdrawn = later.model_copy(update={"analytics": False})
    ledger.decide(keys, consent_rule(ANNA, withdrawn, moment(NOON_MS + DAY_MS)))
    assert [event.what for event in ledger.events] == ["consent_given"] * 2


def test_a_consent_that_keeps_changing_is_refused_until_the_next_hour() -> None:
    ledger = DictLedger()
    now_ms = NOON_MS - NOON_MS % HOUR_MS

    def choose(marketing: bool, now_ms: int) -> VisitorRecord | Refusal:
        chosen = CONSENT.model_copy(update={"marketing": marketing})
        return ledger.decide([visitor_key(ANNA)], consent_rule(ANNA, chosen, moment(now_ms)))

    kept: VisitorRecord | Refusal | None = None
    for number in range(CONSENTS_PER_HOUR_MAX):
        kept = choose(number % 2 == 1, now_ms + number)
        assert isinstance(kept, VisitorRecord)
        assert choose(number % 2 == 1, now_ms + number) == kept, "the same again is free"
    last_ms = now_ms + HOUR_MS - 1
    assert choose(False, last_ms) == Refusal(Reason.TOO_BUSY)
    assert ledger.get(visitor_key(ANNA)) == kept
    assert choose(True, last_ms) == kept, "what holds already is never refused"
    assert len(ledger.events) == CONSENTS_PER_HOUR_MAX
    assert isinstance(choose(False, now_ms + HOUR_MS), VisitorRecord)
    other = ledger.decide([visitor_key(BERT)], consent_rule(BERT, CONSENT, moment(last_ms)))
    assert isinstance(other, VisitorRecord)


def test_a_visitor_kept_by_an_older_agent_may_change_its_mind() -> None:
    old = VisitorRecord.model_validate_json(f'{{"id": "{ANNA}", "consent": null, "member": null}}')
    assert (old.consents_hour, old.consents) == (0, 0)


def test_a_linked_phone_shows_its_own_coupons_and_the_members() -> None:
    ledger = DictLedger()
    rule = link_member_rule(ANNA, MemberId("m-1"), moment())
    linked = ledger.decide([visitor_key(ANNA)], rule)
    assert subjects_of(ANNA, None) == (f"v:{ANNA}",)
    assert subjects_of(ANNA, linked.member) == (f"v:{ANNA}", "m:m-1")
    assert ledger.decide([visitor_key(ANNA)], rule) == linked
    assert [event.what for event in ledger.events] == ["member_linked"]


def test_member_codes_are_typed_with_any_spacing_and_case() -> None:
    assert normal_member_code(" ab12-cd34 ") == normal_member_code("AB12CD34") == "AB12CD34"
