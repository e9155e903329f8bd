"""What has been given: per campaign, and per campaign and subject. The limits are judged on these counts."""

from typing import ClassVar

from engagement.ids import CampaignId, LocalDay, SubjectId
from engagement.ledger.record import Key, Record


class CampaignTally(Record):
    """``units`` and ``spend_minor`` (worst case) since the campaign began; ``units_today`` on ``day``, and
    ``units_other_day`` on the day that was counted before."""

    kind: ClassVar[str] = "campaign_tally"
    units: int = 0
    spend_minor: int = 0
    day: LocalDay = LocalDay("")
    units_today: int = 0
    other_day: LocalDay = LocalDay("")
    units_other_day: int = 0

    def on(self, day: LocalDay) -> "CampaignTally":
        """The tally as it stands on a day: a new day starts at 0, the day before goes on when a clock is set back."""
        if self.day == day:
            return self
        return self.model_copy(
            update={
                "day": day,
                "units_today": self.units_other_day if self.other_day == day else 0,
                "other_day": self.day,
                "units_other_day": self.units_today,
            }
        )


class SubjectTally(Record):
    """One subject in one campaign. ``issued_today`` and ``plays_today`` are counts on ``day``, those of
    ``other_day`` on the day that was counted before."""

    kind: ClassVar[str] = "subject_tally"
    issued: int = 0
    redeemed: int = 0
    day: LocalDay = LocalDay("")
    issued_today: int = 0
    plays_today: int = 0
    other_day: LocalDay = LocalDay("")
    issued_other_day: int = 0
    plays_other_day: int = 0

    def on(self, day: LocalDay) -> "SubjectTally":
        """The tally as it stands on a day: a new day starts at 0, the day before goes on when a clock is set back."""
        if self.day == day:
            return self
        is_back = self.other_day == day
        return self.model_copy(
            update={
                "day": day,
                "issued_today": self.issued_other_day if is_back else 0,
                "plays_today": self.plays_other_day if is_back else 0,
                "other_day": self.day,
                "issued_other_day": self.issued_today,
                "plays_other_day": self.plays_today,
            }
        )


def campaign_tally_key(campaign: CampaignId) -> Key[CampaignTally]:
    return Key(CampaignTally, campaign)


def subject_tally_key(campaign: CampaignId, subject: SubjectId) -> Key[SubjectTally]:
    return Key(SubjectTally, f"{campaign}|{subject}")
