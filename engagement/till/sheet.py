"""The daily sheet: what a shop closes its day with, per campaign and in the branch's own calendar day."""

from typing import ClassVar

from engagement.ids import CampaignId, LocalDay
from engagement.ledger.record import Key, Record


class SheetLine(Record):
    """One campaign on one day. An undo counts on the day it was done, so that a closed day never changes."""

    kind: ClassVar[str] = "sheet_line"
    day: LocalDay
    campaign: CampaignId
    currency: str
    issued: int = 0
    issued_minor: int = 0
    redeemed: int = 0
    redeemed_minor: int = 0
    undone: int = 0
    undone_minor: int = 0

    @property
    def net_minor(self) -> int:
        """What the tills took off, less what was undone."""
        return self.redeemed_minor - self.undone_minor

    def with_issue(self, liability_minor: int) -> "SheetLine":
        return self.model_copy(
            update={"issued": self.issued + 1, "issued_minor": self.issued_minor + liability_minor}
        )

    def with_redemption(self, discount_minor: int) -> "SheetLine":
        return self.model_copy(
            update={"redeemed": self.redeemed + 1, "redeemed_minor": self.redeemed_minor + discount_minor}
        )

    def with_undo(self, discount_minor: int) -> "SheetLine":
        return self.model_copy(
            update={"undone": self.undone + 1, "undone_minor": self.undone_minor + discount_minor}
        )


def sheet_key(day: LocalDay, campaign: CampaignId) -> Key[SheetLine]:
    return Key(SheetLine, f"{day}|{campaign}")


def blank_line(day: LocalDay, campaign: CampaignId, currency: str) -> SheetLine:
    return SheetLine(id=f"{day}|{campaign}", day=day, campaign=campaign, currency=currency)
