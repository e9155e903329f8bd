"""Daily counts: a new day starts at 0, and a clock that wavers around midnight does not start a day anew."""

from engagement.campaign.tally import CampaignTally, SubjectTally
from engagement.ids import LocalDay

MON, TUE, WED = (LocalDay(f"2026-11-{day}") for day in (23, 24, 25))


def test_a_new_day_starts_at_zero_and_totals_go_on() -> None:
    tally = CampaignTally(id="c", units=9, spend_minor=900, day=MON, units_today=4)
    after = tally.on(TUE)
    assert (after.units, after.spend_minor, after.units_today) == (9, 900, 0)
    assert tally.on(MON) == tally


def test_a_campaigns_day_goes_on_where_it_stood_when_the_clock_is_set_back_over_midnight() -> None:
    tally = CampaignTally(id="c").on(MON).model_copy(update={"units_today": 4})
    tuesday = tally.on(TUE).model_copy(update={"units_today": 1})
    assert tuesday.on(MON).units_today == 4
    assert tuesday.on(MON).on(TUE).units_today == 1
    assert tuesday.on(WED).units_today == 0


def test_a_subjects_day_goes_on_where_it_stood_when_the_clock_is_set_back_over_midnight() -> None:
    tally = SubjectTally(id="s").on(MON).model_copy(update={"issued_today": 1, "plays_today": 3})
    tuesday = tally.on(TUE)
    assert (tuesday.issued_today, tuesday.plays_today) == (0, 0)
    monday = tuesday.on(MON)
    assert (monday.issued_today, monday.plays_today) == (1, 3)
