"""What every service of one store shares: the bundle it works from, the ports it works through, the keys it signs with.

The bundle may be another one the next moment, when HQ wants something else: whoever needs a part of it reads it here
each time, and whoever must make something of it uses MadeOfBundle.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar
from zoneinfo import ZoneInfo

from edge_agent.ports import Clock, Entropy, Store
from engagement.campaign.issue import Mint
from engagement.campaign.model import Campaign
from engagement.clock.moment import Moment, from_ms
from engagement.estate.bundle import Bundle
from engagement.ids import CampaignId, LocalDay

T = TypeVar("T")

# Coupon and redemption secrets are typed by nobody; lower case and digits survive every URL.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


@dataclass
class Premises:
    """One agent in its branch. ``bundle``: the one that counts now; ``mint`` makes the agent's codes."""

    bundle: Bundle
    clock: Clock
    entropy: Entropy
    store: Store
    mint: Mint

    def renew(self, bundle: Bundle) -> None:
        """Work from another bundle of the same agent, in the same branch, from now on."""
        self.bundle = bundle

    @property
    def zone(self) -> ZoneInfo:
        """The branch's time zone."""
        return self.bundle.branch.zone_info

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


class MadeOfBundle(Generic[T]):
    """Something that is made of the bundle, and made anew once another bundle counts."""

    def __init__(self, premises: Premises, make: Callable[[Bundle], T]) -> None:
        self._premises = premises
        self._make = make
        self._bundle = premises.bundle
        self._made = make(self._bundle)

    @property
    def now(self) -> T:
        if self._bundle is not self._premises.bundle:
            self._bundle = self._premises.bundle
            self._made = self._make(self._bundle)
        return self._made
