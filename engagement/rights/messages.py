"""What agent and HQ say to each other about rights.

All amounts are totals since the ledger's file was made, and only ever rise; so whatever is lost, repeated or overtaken,
the greater total is the newer one. What an agent may still give out is granted - returned - used.
"""

from typing import Annotated, Final

from pydantic import Field, StringConstraints, field_validator

from engagement.ids import LABEL, SLUG, AgentName, CampaignId
from engagement.journal.tip import Epoch
from engagement.line.answers import Hex16, Said, Slot
from engagement.rights.amount import NOTHING, Amount

# A branch runs some dozen campaigns at a time; ended ones go once all of theirs is returned or used.
ACCOUNTS_MAX: Final = 200
# A sealed grant of that many accounts, with the certificate that proves it.
GRANT_CHARS_MAX: Final = 64 * 1024

LedgerEpoch = Annotated[Epoch, StringConstraints(pattern=r"^[0-9a-f]{16}$")]


class HeldAccount(Said):
    """One campaign's lease as its holder has it. ``wanted_units``: how many more it would like to hold."""

    campaign: Annotated[CampaignId, SLUG]
    granted: Amount = NOTHING
    returned: Amount = NOTHING
    used: Amount = NOTHING
    wanted_units: Annotated[int, Field(ge=0, lt=2**32)] = 0


class LeaseRequest(Said):
    """``epoch``: of the ledger's file, whose lease this is. ``number`` rises with every request of that file, and is on its
    disk before it is sent; the same number again is the same request again, to the octet. ``grant``: the last sealed grant,
    by which an HQ that was restored learns what it gave."""

    epoch: LedgerEpoch
    number: Annotated[int, Field(ge=1, lt=2**48)]
    accounts: Annotated[tuple[HeldAccount, ...], Field(max_length=ACCOUNTS_MAX)] = ()
    grant: Annotated[str, Field(max_length=GRANT_CHARS_MAX)] = ""

    @field_validator("accounts")
    @classmethod
    def _each_campaign_once(cls, accounts: tuple[HeldAccount, ...]) -> tuple[HeldAccount, ...]:
        """Errors: ValueError; of two totals of one lease neither would be the one."""
        if len({account.campaign for account in accounts}) < len(accounts):
            raise ValueError("names a campaign twice")
        return accounts


class GrantedAccount(Said):
    """``returned``: as far as HQ has taken it back, for a holder that dropped an account and takes it up again."""

    campaign: Annotated[CampaignId, SLUG]
    granted: Amount
    returned: Amount = NOTHING


class Grant(Said):
    """What HQ has granted this ledger in all; sealed by HQ, so that it proves itself after HQ has forgotten.

    ``incarnation``: of the HQ that granted. ``number``: of the request that it answers.
    """

    incarnation: Hex16
    agent: Annotated[AgentName, LABEL]
    epoch: LedgerEpoch
    number: int
    accounts: tuple[GrantedAccount, ...] = ()


class LeaseAnswer(Said):
    """``grant``: a sealed Grant, to be kept and sent with the next request. ``is_fenced``: HQ was restored and gives no more
    until it knows what all hold; it knows of this ledger once that asks again with this grant, after ``slot_ms``.
    ``recalled``: campaigns of which HQ would like unused rights back, because others have none."""

    grant: Annotated[str, Field(max_length=GRANT_CHARS_MAX)]
    is_fenced: bool = False
    recalled: tuple[Annotated[CampaignId, SLUG], ...] = ()
    slot_ms: Slot = 0
