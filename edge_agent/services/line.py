"""What is known of the line to HQ: written by enrolling and syncing, told by health.

A store that works without its line is as it should be; only a line that stays away for a day, or that HQ refuses,
is worth a person's time.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from engagement.clock.moment import Moment, certainly_elapsed_ms
from engagement.ids import AgentName
from engagement.journal.event import Lane
from engagement.values import Value

# A line is away for hours wherever diggers are at work; after a day HQ's figures of yesterday are wrong.
DOWN_MS_MAX: Final = 24 * 3_600_000


class Enrolment(Value):
    """That HQ knows this key under this name, and the claim that it came by.

    ``hq_url``: where HQ is, and ``root_pem``: whom to believe, both by the claim; ``certificate_pem``: this agent's own
    and that of HQ's authority. Each is empty after an enrolment that told none, as by a code of the old form.
    """

    agent: AgentName
    public_key_hex: str
    claim_id: str
    hq_url: str = ""
    root_pem: str = ""
    certificate_pem: str = ""


class Trouble(NamedTuple):
    """``code`` is stable; ``means`` and ``do`` are sentences for the person in the store."""

    code: str
    means: str
    do: str


@dataclass
class Line:
    """``began``: when this agent started, for a line that never answered since. ``root_in_file``: HQ's root (PEM) as the
    settings name it, for an enrolment that told none.

    ``enrolment``: None while there is none. ``not_enrolled_because``: None while enrolled or not tried yet. ``refused_code``: why HQ takes nothing from this
    agent. ``held``: why a lane does not go out, by HQ's code or ours. ``refused_entries``: how many HQ keeps apart.
    ``enrolled_anew``: set by each enrolment while the agent runs, cleared by whoever waits for it.
    ``returns``: how often HQ was away and answers again. ``bundle_refused_because``: why what HQ wants this agent to be does not count; None when it does.
    """

    began: Moment
    enrolled: asyncio.Event = field(default_factory=asyncio.Event)
    root_in_file: str | None = None
    enrolment: Enrolment | None = None
    not_enrolled_because: str | None = None
    last_contact: Moment | None = None
    down_because: str | None = None
    refused_code: str | None = None
    held: dict[Lane, str] = field(default_factory=dict)
    refused_entries: int = 0
    enrolled_anew: asyncio.Event = field(default_factory=asyncio.Event)
    bundle_refused_because: str | None = None
    returns: int = 0

    @property
    def root_pem(self) -> str | None:
        """HQ's root, as pinned at enrolment; None while none is known."""
        return None if self.enrolment is None else self.enrolment.root_pem or self.root_in_file

    @property
    def last_contact_ms(self) -> int | None:
        """Unix ms of HQ's last answer; None when there never was one."""
        return None if self.last_contact is None else self.last_contact.wall_ms

    def reached(self, now: Moment) -> None:
        """HQ answered as it should."""
        self.last_contact = now
        self.returns += self.down_because is not None
        self.down_because = self.refused_code = None

    def troubles(self, now: Moment) -> list[Trouble]:
        """What a person should know, most urgent first."""
        found = [*_divergence(self.held), *_refusal(self.refused_code, self.held)]
        if self.not_enrolled_because is not None:
            found.append(
                Trouble(
                    "not_enrolled",
                    f"HQ does not know this mini-PC yet: {self.not_enrolled_because}. What happens here is kept "
                    "until it does.",
                    "Ask HQ for a claim code (`beckon enrol`) and put it into the claim file.",
                )
            )
        if self.bundle_refused_because is not None:
            found.append(
                Trouble(
                    "bundle_refused",
                    f"What HQ wants this store to be is not taken: {self.bundle_refused_because}. The store works on "
                    "as before.",
                    "Tell HQ, with the cause.",
                )
            )
        if self._is_long_down(now):
            found.append(
                Trouble(
                    "line_down",
                    f"HQ could not be reached for more than a day: {self.down_because}. The store works on; what "
                    "happens is kept and goes out when the line is back.",
                    "Check the store's router and its internet line.",
                )
            )
        return found

    def _is_long_down(self, now: Moment) -> bool:
        if self.down_because is None:
            return False
        return certainly_elapsed_ms(self.last_contact or self.began, now) > DOWN_MS_MAX


DIVERGED: Final = "diverged"
MISSING: Final = "missing"


def _divergence(held: Mapping[Lane, str]) -> list[Trouble]:
    found = []
    if lanes := _lanes(held, DIVERGED):
        found.append(
            Trouble(
                "journal_diverged",
                f"HQ has other entries than this mini-PC under the same numbers (lanes: {lanes}): its disk was copied, "
                "or went back to an older state. These lanes are kept and not sent.",
                "Tell HQ; do not replace or reset the mini-PC before HQ has looked.",
            )
        )
    if lanes := _lanes(held, MISSING):
        found.append(
            Trouble(
                "journal_missing",
                f"HQ asks again for entries that this mini-PC no longer has (lanes: {lanes}): HQ was restored from an "
                "old backup. These lanes are kept and not sent.",
                "Tell HQ.",
            )
        )
    return found


def _refusal(refused_code: str | None, held: Mapping[Lane, str]) -> list[Trouble]:
    if refused_code is not None:
        return [
            Trouble(
                "line_refused",
                f"HQ refuses this mini-PC ({refused_code}). The store works on; what happens is kept.",
                "Tell HQ; if the mini-PC was replaced or revoked, enrol it again with a new claim code.",
            )
        ]
    codes = sorted(set(held.values()) - {DIVERGED, MISSING})
    if not codes:
        return []
    return [
        Trouble(
            "line_refused",
            f"HQ cannot use what this mini-PC sends ({', '.join(codes)}). It is kept and offered again.",
            "Tell HQ, with the mini-PC's version.",
        )
    ]


def _lanes(held: Mapping[Lane, str], code: str) -> str:
    return ", ".join(lane.value for lane in Lane if held.get(lane) == code)
