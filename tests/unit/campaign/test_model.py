"""A bad campaign file is refused with the field, the value and what is allowed."""

from typing import Any

import pytest
from pydantic import ValidationError

from engagement.campaign.model import Campaign, Offer
from tests.fakes.shop import campaign, campaign_file

CASH = {"kind": "cash", "value_minor": 2000, "min_spend_minor": 10_000}
WINDOW = campaign_file()["window"]


@pytest.mark.parametrize(
    ("changes", "field", "value", "allowed"),
    [
        ({"version": 2}, "version", 2, "should be 1"),
        ({"id": "Welcome Offer"}, "id", "Welcome Offer", r"\^\[a-z0-9\]"),
        ({"id": ""}, "id", "", r"\^\[a-z0-9\]"),
        ({"number": 0}, "number", 0, "greater than or equal to 1"),
        ({"number": 2**24}, "number", 2**24, "less than or equal to 16777215"),
        ({"edition": 256}, "edition", 256, "less than or equal to 255"),
        ({"name": "  "}, "name", "  ", "at least 1 character"),
        ({"title": {"en": "20 off"}}, "title", {"en": "20 off"}, "missing: zh-Hans"),
        ({"terms": {"en": "", "zh-Hans": "满100可用。"}}, "terms", None, "missing: en"),
        ({"trigger": {"on": "arrival"}}, "trigger.on", "arrival", "'welcome', 'shake' or 'welcome_back'"),
        ({"trigger": {"on": "welcome_back", "dwell_s": -1}}, "trigger.dwell_s", -1, "greater than or equal to 0"),
        ({"trigger": {"on": "welcome", "zone": "a|b"}}, "trigger.zone", "a|b", "match pattern"),
        ({"trigger": {"on": "welcome", "zone": "cafe"}}, "trigger", None, "go with on: welcome_back alone"),
        ({"offer": CASH | {"value_minor": 2**24}}, "offer.value_minor", 2**24, "less than or equal to 16777215"),
        ({"offer": CASH | {"value_minor": 0}}, "offer", None, "needs value_minor above 0"),
        ({"offer": CASH | {"off_bps": 1}}, "offer", None, "cash offer has no off_bps"),
        ({"offer": {"kind": "percent", "off_bps": 1000}}, "offer", None, "percent offer needs cap_minor above 0"),
        ({"offer": CASH | {"currency": "yuan"}}, "offer.currency", "yuan", r"\^\[A-Z\]\{3\}\$"),
        ({"budget": {"units": 0, "spend_minor": 1}}, "budget.units", 0, "greater than or equal to 1"),
        ({"budget": {"units": 10, "spend_minor": 19_999}}, "", None, "below the worst case of 20000"),
        ({"limits": {"plays_per_day": 0}}, "limits.plays_per_day", 0, "greater than or equal to 1"),
        ({"window": WINDOW | {"use_days": 367}}, "window.use_days", 367, "less than or equal to 366"),
        ({"window": WINDOW | {"opens_at": "2026-11-21T09:00:00"}}, "window.opens_at", None, "needs a UTC offset"),
        ({"window": WINDOW | {"ends_at": WINDOW["opens_at"]}}, "window", None, "later than opens_at"),
        ({"stacking": {"group": "Group 1"}}, "stacking.group", "Group 1", r"\^\[a-z0-9\]"),
        ({"draw": {"mode": "odds", "win_bps": 100}}, "", None, "goes with trigger.on shake"),
        ({"trigger": {"on": "shake"}}, "", None, "goes with trigger.on shake"),
        ({"trigger": {"on": "shake"}, "draw": {"mode": "odds"}}, "", None, "win_bps must be above 0"),
        ({"colour": "red"}, "colour", "red", "not permitted"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_with_field_value_and_what_is_allowed(
    changes: dict[str, Any], field: str, value: object, allowed: str
) -> None:
    with pytest.raises(ValidationError, match=allowed) as refused:
        campaign(**changes)
    (error,) = refused.value.errors()
    assert ".".join(map(str, error["loc"])) == field
    if value is not None:
        assert error["input"] == value


def test_a_good_file_is_read_and_written_alike() -> None:
    read = campaign()
    assert Campaign.model_validate_json(read.model_dump_json()) == read


@pytest.mark.parametrize(
    ("offer", "basket_minor", "discount_minor"),
    [
        (Offer(kind="cash", value_minor=2000), 10_000, 2000),
        (Offer(kind="cash", value_minor=2000), 1999, 1999),
        (Offer(kind="percent", off_bps=1500, cap_minor=3000), 10_000, 1500),
        (Offer(kind="percent", off_bps=1500, cap_minor=3000), 10_006, 1500),  # a part of a fen is the shop's
        (Offer(kind="percent", off_bps=1500, cap_minor=3000), 100_000, 3000),
        (Offer(kind="percent", off_bps=10_000, cap_minor=3000), 2000, 2000),
    ],
)
def test_what_an_offer_takes_off(offer: Offer, basket_minor: int, discount_minor: int) -> None:
    assert offer.discount_minor(basket_minor) == discount_minor
    assert discount_minor <= offer.liability_minor
