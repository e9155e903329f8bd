"""What has been given: per campaign, and per campaign and subject. The limits are judged on these counts."""

from typing import ClassVar

from engagement.ids import CampaignId, LocalDay, SubjectId
from engagement.ledger.record import Key, Record


class CampaignTally(Record):
    """``units`` and ``spend_minor`` (worst case) since the campaign began; ``units_today`` on ``day``."""

    kind: ClassVar[str] = "campaign_tally"
    units: int = 0
    spend_minor: int = 0
    day: LocalDay = LocalDay("")
    units_today: int = 0

    def on(self, day: LocalDay) -> "CampaignTally":
        """The tally as it stands on a day; a new day starts its daily count at 0."""
        return self if self.day == day else self.model_copy(update={"day": day, "units_today": 0})


class SubjectTally(Record):
    """One subject in one campaign. ``issued_today`` and ``plays_today`` are counts on ``day``."""

    kind: ClassVar[str] = "subject_tally"
    issued: int = 0
    redeemed: int = 0
    day: LocalDay = LocalDay("")
    issued_today: int = 0
    plays_today: int = 0

    def on(self, day: LocalDay) -> "SubjectTally":
        """The tally as it stands on a day; a new day starts its daily counts at 0."""
        if self.day == day:
            return self
        return self.model_copy(update={"day": day, "issued_today": 0, "plays_today": 0})


def campaign_tally_key(campaign: CampaignId) -> Key[CampaignTally]:
    return Key(CampaignTally, campaign)


def subject_tally_key(campaign: CampaignId, subject: SubjectId) -> Key[SubjectTally]:
    return Key(SubjectTally, f"{campaign}|{subject}")
