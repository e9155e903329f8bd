"""A store: its zones, beacons, agents and tills."""

from functools import cache
from typing import Annotated, Final
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, FiniteFloat, StringConstraints, model_validator

from engagement.campaign.model import LANGUAGES
from engagement.estate.beacon import Beacon
from engagement.estate.fitting import AgentParts, BranchParts, ReceiverParts, branch_findings
from engagement.finding import Unfit
from engagement.ids import LABEL, SLUG, AgentName, BranchCode, CampaignId, Label, TillName, ZoneName
from engagement.money import Currency
from engagement.values import Value, at_least_one

# A language tag: primary language and subtags, as zh-Hans or en-GB. Source: BCP 47, without its rarer forms.
LANGUAGE_PATTERN: Final = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$"
BRANCH_CODE_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,23}$"
ADAPTER_PATTERN: Final = r"^[A-Za-z0-9_.:-]{1,32}$"
# The short code has five digits for the agent.
AGENT_NUMBER_MAX = 99_999


@cache
def _zones_known() -> frozenset[str]:
    """Looked up once: it walks the files of all zones, which takes longer than all else about a branch."""
    return frozenset(available_timezones())


def _known_zone(name: str) -> str:
    if name not in _zones_known():
        raise ValueError("is no IANA time zone, as in Asia/Shanghai")
    return name


def _named(value: object) -> object:
    """A zone or a till may be written as its bare name."""
    return {"name": value} if isinstance(value, str) else value


# Strict, as all numbers of files: else true is 1.
Metres = Annotated[FiniteFloat, Field(strict=True)]


class Zone(Value):
    name: Annotated[ZoneName, LABEL]


class Receiver(Value):
    """A Bluetooth adapter of an agent: its name (``hci0``), the zone it stands in, its place in metres."""

    adapter: Annotated[str, StringConstraints(pattern=ADAPTER_PATTERN)]
    zone: Annotated[ZoneName, LABEL]
    x_m: Metres = 0.0
    y_m: Metres = 0.0


def _stands_in_addresses(name: AgentName) -> AgentName:
    # Every browser takes these for the folder itself and the one above, however they are encoded.
    if name in (".", ".."):
        raise ValueError("a name of dots alone stands in no address; allowed: any other name")
    return name


class Agent(Value):
    """A store's mini-PC. ``number`` stands in every code it issues; HQ gives one where the file does not."""

    name: Annotated[AgentName, LABEL, AfterValidator(_stands_in_addresses)]
    number: Annotated[int, Field(strict=True, ge=1, le=AGENT_NUMBER_MAX)] | None = None
    receivers: Annotated[tuple[Receiver, ...], Field(max_length=32)] = ()

    @property
    def parts(self) -> AgentParts:
        receivers = (ReceiverParts(receiver.adapter, receiver.zone) for receiver in self.receivers)
        return AgentParts(self.name, self.number, tuple(receivers))


class Till(Value):
    name: Annotated[TillName, LABEL]


class Branch(Value):
    """``code`` is the branch's short name, unique in the chain; ``languages`` (tags of BCP 47) in order of preference.

    ``campaigns``: those that may run here; None for every campaign that fits the branch.
    """

    name: Label
    code: Annotated[BranchCode, StringConstraints(pattern=BRANCH_CODE_PATTERN)]
    time_zone: Annotated[str, AfterValidator(_known_zone)]
    languages: Annotated[
        tuple[Annotated[str, StringConstraints(pattern=LANGUAGE_PATTERN)], ...],
        Field(max_length=8),
        AfterValidator(at_least_one),
    ]
    currency: Currency
    zones: tuple[Annotated[Zone, BeforeValidator(_named)], ...] = ()
    beacons: tuple[Beacon, ...] = ()
    agents: tuple[Agent, ...] = ()
    tills: tuple[Annotated[Till, BeforeValidator(_named)], ...] = ()
    campaigns: tuple[Annotated[CampaignId, SLUG], ...] | None = None

    @model_validator(mode="after")
    def _names_fit(self) -> "Branch":
        if findings := tuple(branch_findings(self.parts)):
            raise Unfit(findings)
        return self

    @property
    def parts(self) -> BranchParts:
        return BranchParts(
            code=self.code,
            zones=tuple(zone.name for zone in self.zones),
            beacons=tuple(beacon.parts for beacon in self.beacons),
            agents=tuple(agent.parts for agent in self.agents),
            tills=tuple(till.name for till in self.tills),
            campaigns=self.campaigns or (),
        )

    @property
    def parts_for_others(self) -> BranchParts:
        """Those of them that other branches' rules ask for."""
        has_members = any(beacon.member is not None for beacon in self.beacons)
        return BranchParts(
            code=self.code,
            beacons=tuple(beacon.parts for beacon in self.beacons) if has_members else (),
            agents=tuple(agent.parts for agent in self.agents),
        )

    @property
    def page_languages(self) -> tuple[str, ...]:
        """Those of ``languages`` that the pages speak, in the branch's order; all of them when it lists none."""
        by_primary = {language.partition("-")[0]: language for language in LANGUAGES}
        primaries = (tag.partition("-")[0].lower() for tag in self.languages)
        spoken = (by_primary[primary] for primary in primaries if primary in by_primary)
        return tuple(dict.fromkeys(spoken)) or LANGUAGES

    @property
    def zone_info(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)
