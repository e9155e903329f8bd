from itertools import pairwise

import pytest
from pydantic import ValidationError

from engagement.ids import ZoneName
from engagement.presence.fingerprints import Fingerprints
from engagement.presence.survey import BySurvey, Survey
from engagement.presence.zones import Guess, settle

DOOR, SHELF = ZoneName("door"), ZoneName("shelf")


def reading(mean_dbm: float) -> dict[str, float]:
    return {"n": 100, "mean_dbm": mean_dbm, "sd_db": 4.0}


def corridor() -> Fingerprints:
    """Ten metres with a receiver at each end; ``door`` is the first half."""
    return Fingerprints.model_validate(
        {
            "version": 1,
            "receivers": ["hci0", "hci1"],
            "spots": [
                {
                    "zone": DOOR if x_m < 5 else SHELF,
                    "x_m": x_m,
                    "y_m": 0,
                    "readings": {"hci0": reading(-50 - 3 * x_m), "hci1": reading(-80 + 3 * x_m)},
                }
                for x_m in range(10)
            ],
        }
    )


def test_the_survey_follows_a_walker() -> None:
    tag = BySurvey(Survey(corridor()))
    guesses: list[Guess] = []
    for step in range(40):
        x_m = min(9, step // 4)
        for _ in range(3):
            tag.hear("hci0", -50 - 3 * x_m)
            tag.hear("hci1", -80 + 3 * x_m)
        guesses.append(tag.step({}))
    zones = [guess.zone for guess in guesses]
    assert zones[3] == DOOR
    assert zones[-1] == SHELF
    assert sum(one != other for one, other in pairwise(zones[3:])) == 1
    assert guesses[-1].confidence > 0.9


def test_without_readings_the_survey_grows_unsure() -> None:
    tag = BySurvey(Survey(corridor()))
    for _ in range(5):
        tag.hear("hci0", -50)
        tag.step({})
    sure = tag.step({}).confidence
    for _ in range(60):
        tag.step({})
    assert tag.step({}).confidence < sure


def test_a_receiver_that_was_not_surveyed_changes_nothing() -> None:
    one, other = BySurvey(Survey(corridor())), BySurvey(Survey(corridor()))
    one.hear("hci9", -40)
    assert one.step({}) == other.step({})


def test_a_jump_to_the_far_end_is_believed_in_time() -> None:
    tag = BySurvey(Survey(corridor()))
    zones: list[ZoneName | None] = []
    for rssi_dbm in [-50] * 10 + [-77] * 10:
        tag.hear("hci0", rssi_dbm)
        tag.hear("hci1", -130 - rssi_dbm)
        zones.append(tag.step({}).zone)
    assert (zones[9], zones[-1]) == (DOOR, SHELF)


def test_a_reading_of_an_unlisted_receiver_is_refused() -> None:
    raw = corridor().model_dump()
    raw["receivers"] = ["hci0"]
    with pytest.raises(ValidationError, match="readings of hci1, not listed under receivers"):
        Fingerprints.model_validate(raw)


def test_settling_stays_until_another_zone_is_clearly_likelier() -> None:
    options = {"switch_odds": 2.0, "unsure_share": 0.3}
    assert settle({DOOR: 0.375, SHELF: 0.625}, DOOR, **options) == (DOOR, 0.375)
    assert settle({DOOR: 0.25, SHELF: 0.75}, DOOR, **options) == (SHELF, 0.75)
    assert settle({}, DOOR, **options) == (None, 0.0)


@pytest.mark.parametrize("likeliest", [DOOR, SHELF])
def test_a_belief_that_is_spread_thin_is_unsure(likeliest: ZoneName) -> None:
    shares = dict.fromkeys([DOOR, SHELF, ZoneName("cafe"), ZoneName("till")], 0.24) | {likeliest: 0.28}
    guess = settle(shares, DOOR, switch_odds=2.0, unsure_share=0.3)
    assert guess.zone is None
    assert guess.confidence == pytest.approx(0.28)


def test_sharpness_changes_the_confidence_and_not_the_zone() -> None:
    shares = {DOOR: 0.75, SHELF: 0.25}
    guess = settle(shares, None, switch_odds=2.0, unsure_share=0.3, sharpness=2.0)
    assert guess.zone == DOOR
    assert guess.confidence == pytest.approx(0.9)
