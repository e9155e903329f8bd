"""What a batch refuses to carry or to be, what strangers cost, and a layout that never moves."""

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from engagement.clock.hybrid import HybridTime
from engagement.clock.moment import Moment
from engagement.ids import (
    AgentName,
    BeaconName,
    CampaignId,
    CouponId,
    SubjectId,
    TillName,
    VisitorId,
    ZoneName,
)
from engagement.journal.batch import BODIES_BYTES_MAX, Batch, decode_batch, encode_batch
from engagement.journal.entry import CHAIN_START, Entry, chain, encode
from engagement.journal.event import (
    AnyEvent,
    CampaignStopped,
    ConsentGiven,
    CouponIssued,
    CouponRedeemed,
    Event,
    HealthChanged,
    Lane,
    MemberLinked,
    OrderRecorded,
    Played,
    PresenceChanged,
    RedemptionRefused,
    RedemptionUndone,
)
from engagement.journal.malformed import MalformedBatch, UnknownVocabulary
from engagement.journal.octets import varint
from engagement.journal.tip import Epoch
from engagement.journal.vocabulary import PATTERNS, SHAPES
from tests.fakes.shop import NOON_MS
from tests.fakes.store_day import lane_entries

AGENT = AgentName("harbour-1")
EPOCH = Epoch("00ff12345678abcd")
MONEY = lane_entries(Lane.MONEY, seed=3, shoppers=30)
# Version, length and name of the agent, epoch, lane, a small first seq, head, a small count.
START_BYTES = 1 + 1 + len(AGENT) + 8 + 1 + 1 + 32 + 1
CHECK_BYTES = 8
ONE_EVENT = (
    "b1 09 68 61 72 62 6f 75 72 2d 31 00 ff 12 34 56 78 ab cd 00 01 00 00 00 00 00 00 00 00 00 00 00 "
    "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 80 98 d2 df bf 68 02 11 d0 0f "
    "08 02 62 e2 0f 0a 73 68 61 6b 65 0b 00 11 22 33 44 55 66 77 88 99 02 0f 23 71 37 52 ad 1c d6 2e"
)
THREE_EVENTS = (
    "b1 09 68 61 72 62 6f 75 72 2d 31 00 ff 12 34 56 78 ab cd 00 01 00 00 00 00 00 00 00 00 00 00 00 "
    "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 03 00 80 98 d2 df bf 68 80 02 02 "
    "01 11 80 d0 0f d0 0f 00 08 01 02 62 80 e2 0f d0 0f 01 0a 73 68 61 6b 65 01 0b 00 11 22 33 44 55 "
    "66 77 88 99 80 02 02 02 01 00 01 60 02 0f 11 80 00 02 bd 4a 81 b4 33 1a 7e a5"
)


def one_of_each() -> list[Event]:
    """Every kind of event, and each that may name nothing a second time without it."""
    now = Moment(wall_ms=NOON_MS, error_ms=4, boot_id="b", boottime_ms=9)
    at_till: dict[str, Any] = {"moment": now, "till": "till 1", "cashier": "Li"}
    redemption: dict[str, Any] = {"redemption": "r000001-abcdefghjk"}
    order: dict[str, Any] = {"order": "o-1"}
    coupon: dict[str, Any] = {"coupon": "000001-abcdefghjkmn", "campaign": "shake"}
    money: dict[str, Any] = {"basket_minor": 10_000, "discount_minor": 1500, "currency": "CNY"}
    visitor, text = VisitorId("00112233445566778899"), sha256(b"terms").hexdigest()
    tag, refused = BeaconName("tag-1"), "below_min_spend"
    return [
        CouponIssued(
            moment=now,
            **coupon,
            edition=1,
            subject=SubjectId("v:1"),
            liability_minor=1,
            currency="CNY",
            not_after_ms=NOON_MS,
        ),
        CouponRedeemed(**at_till, **coupon, **redemption, **order, **money),
        RedemptionUndone(**at_till, **coupon, **redemption, discount_minor=1500, currency="CNY"),
        CampaignStopped(moment=now, campaign=CampaignId("shake"), by="Li", honour_issued=False),
        OrderRecorded(**at_till, **order, **money),
        RedemptionRefused(moment=now, reason=refused, till=TillName("till 1"), coupon=CouponId("000001-x")),
        RedemptionRefused(moment=now, reason=refused, till=TillName("till 1"), coupon=None),
        ConsentGiven(
            moment=now, visitor=visitor, analytics=True, marketing=False, language="zh-Hans", text_sha256=text
        ),
        Played(moment=now, campaign=CampaignId("shake"), subject=SubjectId("v:1"), play=1, won=True),
        MemberLinked(moment=now, visitor=visitor),
        PresenceChanged(moment=now, beacon=tag, change="enter", zone=ZoneName("cafe"), dwell_s=0.0),
        PresenceChanged(moment=now, beacon=tag, change="leave", zone=None, dwell_s=187.30000000001019),
        HealthChanged(moment=now, status="degraded", issues=("clock_unsure", "disk_low")),
    ]


def batch_of(*bodies: bytes, wall_ms: int = NOON_MS) -> Batch:
    head, entries = CHAIN_START, []
    for seq, body in enumerate(bodies, start=1):
        head = chain(head, body)
        stamp = HybridTime(wall_ms, seq)
        entries.append(Entry(lane=Lane.MONEY, seq=seq, stamp=stamp, body=body, head=head))
    return Batch(AGENT, EPOCH, Lane.MONEY, 1, CHAIN_START, tuple(entries))


def there_and_back(batch: Batch, **options: bool) -> Batch:
    return decode_batch(encode_batch(batch, **options), entries_max=len(batch.entries))


def money_batch(**changes: Any) -> Batch:
    return replace(Batch(AGENT, EPOCH, Lane.MONEY, 1, CHAIN_START, MONEY), **changes)


def test_a_journal_comes_back_with_its_heads() -> None:
    back = there_and_back(money_batch())
    assert back.entries == MONEY
    assert back.last_head == MONEY[-1].head
    later = money_batch(first_seq=11, previous_head=MONEY[9].head, entries=MONEY[10:])
    assert there_and_back(later).last_head == MONEY[-1].head


def test_a_kind_and_a_field_that_nobody_knows_survive() -> None:
    known = json.loads(MONEY[0].body)
    strange = [
        json.dumps(known | {"colour": f"shade {number}", "nested": {"deep": [number, None, -0.0]}}).encode()
        for number in range(5)
    ] + [b'{"what":"of_tomorrow","x":1}', b"no JSON \x00\xff at all", b"", b'{"%d":"%"}']
    assert [entry.body for entry in there_and_back(batch_of(*strange)).entries] == strange


def test_a_bad_event_leaves_the_others_whole() -> None:
    good, bad = MONEY[0].body, b'{"what":"coupon_issued","moment":"never"}'
    first, second, third = there_and_back(batch_of(good, bad, good)).entries
    assert first.event == third.event == MONEY[0].event
    assert second.body == bad
    with pytest.raises(ValidationError):
        print(second.event)


def test_every_event_of_ours_has_a_number() -> None:
    """A new event or field needs a line in the table: without it a single event costs a few hundred bytes more."""
    for event in one_of_each():
        assert len(encode_batch(batch_of(encode(event)))) < START_BYTES + 100 + CHECK_BYTES, event
    assert {type(event) for event in one_of_each()} == set(get_args(get_args(AnyEvent)[0]))


def test_numbers_once_given_never_move() -> None:
    """Append to the tables and lengthen the slices; a changed digest breaks every agent out there."""
    assert sha256(repr(SHAPES[:13]).encode()).hexdigest()[:16] == "fd8c9fadc6f47136"
    assert sha256(repr(PATTERNS[:133]).encode()).hexdigest()[:16] == "5a2d6356ddf7ae50"


def played(number: int) -> bytes:
    moment = Moment(wall_ms=NOON_MS + 1000 * number, error_ms=4, boot_id="b", boottime_ms=9 + 1000 * number)
    subject = SubjectId("v:00112233445566778899")
    won = number == 1
    return encode(Played(moment=moment, campaign=CampaignId("shake"), subject=subject, play=number, won=won))


def test_the_layout_stands() -> None:
    """The examples of docs/wire.md, byte by byte."""
    assert encode_batch(batch_of(played(1))).hex(" ") == ONE_EVENT
    assert encode_batch(batch_of(*map(played, (1, 2, 3)))).hex(" ") == THREE_EVENTS


def test_a_receiver_without_the_tables_is_sent_every_name() -> None:
    data = encode_batch(money_batch(entries=MONEY[:1]))
    newer = data[: START_BYTES + 7] + varint(2 * len(SHAPES) + 1) + data[START_BYTES + 8 :]
    with pytest.raises(UnknownVocabulary) as caught:
        decode_batch(newer, entries_max=1)
    assert (caught.value.code, caught.value.field) == ("unknown_vocabulary", "shape")
    plain = encode_batch(money_batch(entries=MONEY[:1]), by_name=True)
    assert decode_batch(plain, entries_max=1).entries == MONEY[:1]
    assert b'"liability_minor"' in plain


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"entries": ()}, "entries"),
        ({"entries": MONEY[1:]}, "entries"),
        ({"entries": (MONEY[0], MONEY[2])}, "entries"),
        ({"previous_head": bytes(31) + b"\x01"}, "entries"),
        ({"previous_head": bytes(31)}, "previous_head"),
        ({"first_seq": 0}, "first_seq"),
        ({"first_seq": 2**62}, "first_seq"),
        ({"lane": Lane.TELEMETRY}, "lane"),
        ({"agent": AgentName("")}, "agent"),
        ({"agent": AgentName("店" * 86)}, "agent"),
        ({"agent": AgentName("\ud800")}, "agent"),
        ({"epoch": Epoch("00FF12345678ABCD")}, "epoch"),
        ({"epoch": Epoch("main")}, "epoch"),
    ],
)
def test_what_cannot_be_sent_is_said(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(MalformedBatch) as caught:
        encode_batch(money_batch(**changes))
    assert (caught.value.code, caught.value.field) == ("malformed_batch", field)
    assert caught.value.allowed in str(caught.value)


def test_an_altered_body_is_not_sent_as_if_it_followed() -> None:
    altered = MONEY[3]._replace(body=MONEY[3].body.replace(b"CNY", b"EUR"))
    with pytest.raises(MalformedBatch, match="broken at seq 4"):
        encode_batch(money_batch(entries=(*MONEY[:3], altered, *MONEY[4:])))


def test_stamps_that_a_database_could_not_hold_are_refused_at_both_ends() -> None:
    with pytest.raises(MalformedBatch, match="wall_ms"):
        encode_batch(batch_of(b"{}", wall_ms=2**62))
    good = encode_batch(batch_of(b"{}", wall_ms=0))
    too_late = good[:START_BYTES] + varint(2 * 2**62) + good[START_BYTES + 1 :]
    with pytest.raises(MalformedBatch, match="wall_ms"):
        decode_batch(too_late, entries_max=1)


def test_more_entries_than_the_receiver_takes_are_refused() -> None:
    data = encode_batch(money_batch())
    with pytest.raises(MalformedBatch) as caught:
        decode_batch(data, entries_max=len(MONEY) - 1)
    assert (caught.value.field, caught.value.value) == ("entries", len(MONEY))


def test_every_cut_and_every_flipped_bit_is_noticed() -> None:
    data = encode_batch(money_batch(entries=MONEY[:6]))
    for at in range(len(data)):
        flipped = data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]
        for spoilt in (data[:at], flipped, data[:at] + data[at + 1 :]):
            with pytest.raises(MalformedBatch):
                decode_batch(spoilt, entries_max=500)
    with pytest.raises(MalformedBatch):
        decode_batch(data + b"\0", entries_max=500)


def test_events_that_are_too_long_together_are_sent_apart() -> None:
    long = b"x" * (BODIES_BYTES_MAX // 2 + 1)
    assert there_and_back(batch_of(long)).entries[0].body == long
    with pytest.raises(MalformedBatch, match="send fewer"):
        encode_batch(batch_of(long, long))


def test_few_bytes_do_not_become_much_text() -> None:
    """Five hundred bodies that share one text of 60 kB, which would be 30 MB."""
    count, text = varint(500), b"x" * 60_000
    start = encode_batch(batch_of(b"{}"))[: START_BYTES - 1] + count
    stamps = b"\x00" + varint(0) + b"\x00" + varint(0)
    one_shape = varint(1) + varint(2) + b"\x02"
    one_text = varint(1) + varint(2 * len(text)) + text
    with pytest.raises(MalformedBatch) as caught:
        decode_batch(start + stamps + one_shape + one_text + bytes(CHECK_BYTES), entries_max=500)
    assert caught.value.field == "text"


def test_a_column_shorter_than_it_says_is_refused_before_it_is_read() -> None:
    start = encode_batch(batch_of(b"{}"))[: START_BYTES - 1] + varint(2**40)
    wide = b"\x3f" + varint(0) + varint(1)
    with pytest.raises(MalformedBatch) as caught:
        decode_batch(start + wide + bytes(CHECK_BYTES), entries_max=2**40)
    assert caught.value.allowed == "at most the 0 bytes that are left"


@pytest.mark.parametrize(
    ("columns", "field"),
    [
        (b"\x00\x01", "body"),
        (varint(2 * 65) + b"\x01" * 65, "shape"),
        (varint(2) + b"\x02" + varint(4) + b"\x02\x03" + b"\x00", "pattern of text"),
        (varint(2) + b"\x02" + varint(2) + b"\x01", "pattern of text"),
        (varint(2) + b"\x02" + varint(4) + b"\x01\x00" + b"\x00", "pattern of text"),
        (varint(2) + b"\x02" + varint(2 * 34) + b"\x01\x01" * 17 + bytes(17), "pattern of text"),
        (varint(2) + b"\x01" + b"\xff" * 10 + b"\x01", "number"),
    ],
    ids=[
        "a length below 0",
        "too many holes of a shape",
        "odd hex",
        "a hole without a length",
        "a hole of no length",
        "too many holes of a text",
        "an endless varint",
    ],
)
def test_columns_that_no_encoder_writes_are_refused(columns: bytes, field: str) -> None:
    start = encode_batch(batch_of(b"{}", wall_ms=0))[:START_BYTES] + b"\0\0"
    with pytest.raises(MalformedBatch) as caught:
        decode_batch(start + columns + bytes(CHECK_BYTES), entries_max=1)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("columns", "field"),
    [
        (varint(1) + varint(2) + b"\x02" + varint(3), "kinds of text"),
        (varint(2) + b"\0\0" + b"\0" + varint(4), "shape"),
        (varint(2) + b"\0\0" + b"\0" + varint(0), "shapes"),
        (varint(3), "shapes"),
        (
            varint(1) + varint(2) + b"\x02" + varint(2) + varint(2) + b"\1\1" + b"\0" + varint(1),
            "pattern of text",
        ),
        (
            varint(1) + varint(2) + b"\x02" + varint(2) + varint(2) + b"\1\1" + b"\0" + varint(0),
            "patterns of text",
        ),
    ],
    ids=[
        "more kinds than texts",
        "a shape that is not there",
        "a shape that nothing has",
        "more shapes than entries",
        "a pattern below 0",
        "a pattern that nothing has",
    ],
)
def test_columns_that_point_nowhere_are_refused(columns: bytes, field: str) -> None:
    start = encode_batch(batch_of(b"{}", wall_ms=0))[: START_BYTES - 1] + varint(2) + b"\0\0\0\0"
    with pytest.raises(MalformedBatch) as caught:
        decode_batch(start + columns + bytes(CHECK_BYTES), entries_max=2)
    assert caught.value.field == field
