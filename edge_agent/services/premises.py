"""What every service of one store shares: the branch it stands in, the ports it works through, the keys it signs with."""

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from edge_agent.ports import Clock, Entropy, Store
from engagement.campaign.issue import Mint
from engagement.campaign.model import Campaign
from engagement.clock.moment import Moment, from_ms
from engagement.estate.bundle import Bundle
from engagement.ids import CampaignId, LocalDay

# Coupon and redemption secrets are typed by nobody; lower case and digits survive every URL.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


@dataclass(frozen=True)
class Premises:
    """One agent in its branch. ``mint`` makes its codes; ``zone`` is the branch's time zone."""

    bundle: Bundle
    clock: Clock
    entropy: Entropy
    store: Store
    mint: Mint
    zone: ZoneInfo

    @property
    def campaigns(self) -> Mapping[CampaignId, Campaign]:
        return {campaign.id: campaign for campaign in self.bundle.campaigns}

    def day_of(self, moment: Moment) -> LocalDay:
        """The branch's calendar day at a moment, as its wall clock has it."""
        return self.day_at(moment.wall_ms)

    def day_at(self, instant_ms: int) -> LocalDay:
        """The branch's calendar day at an instant (Unix ms)."""
        return LocalDay(from_ms(instant_ms).astimezone(self.zone).date().isoformat())

    def secret(self, n_chars: int) -> str:
        """Unpredictable characters, 5 bits each."""
        return "".join(_ALPHABET[byte % 32] for byte in self.entropy.token(n_chars))
