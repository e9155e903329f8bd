"""The campaign as HQ writes it. Once published its terms never change: a new edition is for new coupons only."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from engagement.finding import Finding, Unfit
from engagement.ids import LABEL, SLUG, CampaignId, Label, Slug, ZoneName
from engagement.money import BasisPoints, Currency, Minor
from engagement.values import Value

# The token holds a campaign's number in three bytes and its edition in one.
CAMPAIGN_NUMBER_MAX = 2**24 - 1
EDITION_MAX = 255
# Longest life of a coupon: longer ones would keep serials and signing keys alive for years.
USE_DAYS_MAX = 366
LANGUAGES = ("en", "zh-Hans")


def _in_every_language(texts: dict[str, str]) -> dict[str, str]:
    missing = [language for language in LANGUAGES if not texts.get(language, "").strip()]
    if missing:
        raise ValueError(f"needs a text in each of {', '.join(LANGUAGES)}; missing: {', '.join(missing)}")
    return texts


def _aware(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError("needs a UTC offset, as in 2026-11-21T09:00:00+08:00")
    return instant


# A sentence in every language that the pages speak.
Texts = Annotated[dict[str, str], AfterValidator(_in_every_language)]
Instant = Annotated[datetime, AfterValidator(_aware)]


# Which amounts an offer of each kind has, and which it has not.
_OFFER_FIELDS: Final = {
    "cash": (("value_minor",), ("off_bps", "cap_minor")),
    "percent": (("off_bps", "cap_minor"), ("value_minor",)),
}


class Trigger(Value):
    """What starts an issue: joining the Wi-Fi, a shake, or a member's tag dwelling ``dwell_s`` seconds."""

    on: Literal["welcome", "shake", "welcome_back"]
    zone: Annotated[ZoneName, LABEL] | None = None
    dwell_s: Annotated[float, Field(strict=True, ge=0, le=3600)] = 0

    @model_validator(mode="after")
    def _rests_on_what_is_proved(self) -> "Trigger":
        if self.on != "welcome_back" and (self.zone is not None or self.dwell_s):
            key = "zone" if self.zone is not None else "dwell_s"
            text = "zone and dwell_s go with on: welcome_back alone; a phone on the Wi-Fi proves the store, not a zone"
            raise Unfit([Finding((key,), text)])
        return self


class Offer(Value):
    """What one coupon is worth.

    ``cash`` takes ``value_minor`` off; ``percent`` takes ``off_bps`` (1/100 %) off, at most ``cap_minor``.
    """

    kind: Literal["cash", "percent"]
    value_minor: Minor = 0
    off_bps: BasisPoints = 0
    cap_minor: Minor = 0
    min_spend_minor: Minor = 0
    currency: Currency = "CNY"

    @model_validator(mode="after")
    def _is_worth_something(self) -> "Offer":
        needed, none = _OFFER_FIELDS[self.kind]
        findings = [
            *(
                Finding((key,), f"a {self.kind} offer needs {key} above 0")
                for key in needed
                if not getattr(self, key)
            ),
            *(Finding((key,), f"a {self.kind} offer has no {key}") for key in none if getattr(self, key)),
        ]
        if findings:
            raise Unfit(findings)
        return self

    @property
    def liability_minor(self) -> int:
        """The most that one coupon can cost."""
        return self.value_minor if self.kind == "cash" else self.cap_minor

    @property
    def basket_minor_min(self) -> int:
        """The least basket it works on: its minimum spend, and enough for at least one minor unit to come off."""
        least_minor = 1 if self.kind == "cash" else -(-10_000 // self.off_bps)
        return max(self.min_spend_minor, least_minor)

    def discount_minor(self, basket_minor: int) -> int:
        """What comes off a basket, never more than the basket; the caller has checked basket_minor_min."""
        if self.kind == "cash":
            return min(self.value_minor, basket_minor)
        return min(basket_minor * self.off_bps // 10_000, self.cap_minor)


class Draw(Value):
    """How chance decides. ``always``: every trigger gives a coupon. ``odds``: a play wins with ``win_bps``."""

    mode: Literal["always", "odds"] = "always"
    win_bps: BasisPoints = 0


class Budget(Value):
    """What the campaign may give out: coupons, and their worst-case cost. In the whole chain where HQ leases it to the
    stores, by this agent alone in a store without HQ; ``units_per_day`` is each agent's in any case."""

    units: Annotated[int, Field(strict=True, ge=1, le=900_000)]
    spend_minor: Annotated[int, Field(strict=True, ge=1)]
    units_per_day: Annotated[int, Field(strict=True, ge=1)] | None = None


class Limits(Value):
    """Per subject, kept strictly within one branch."""

    issue: Annotated[int, Field(strict=True, ge=1, le=100)] = 1
    issue_per_day: Annotated[int, Field(strict=True, ge=1, le=100)] = 1
    redeem: Annotated[int, Field(strict=True, ge=1, le=100)] = 100
    plays_per_day: Annotated[int, Field(strict=True, ge=1, le=100)] = 3


class Window(Value):
    """When coupons are given out, and for how long each can be used after it was issued."""

    opens_at: Instant
    ends_at: Instant
    use_after_minutes: Annotated[int, Field(strict=True, ge=0, le=60 * 24 * 30)] = 0
    use_days: Annotated[int, Field(strict=True, ge=1, le=USE_DAYS_MAX)]

    @model_validator(mode="after")
    def _has_length(self) -> "Window":
        if self.ends_at <= self.opens_at:
            raise Unfit([Finding(("ends_at",), "ends_at must be later than opens_at")])
        return self


class Stacking(Value):
    """Which coupons may share an order: at most ``max_in_group`` of a group; an exclusive one stands alone.
    Higher ``priority`` applies first."""

    group: Slug = "default"
    exclusive: bool = False
    priority: Annotated[int, Field(strict=True, ge=0, le=1000)] = 100
    max_in_group: Annotated[int, Field(strict=True, ge=1, le=10)] = 1


class Campaign(Value):
    """One campaign file. ``version`` is the file's format; ``edition`` counts changes of the terms."""

    version: Literal[1]
    id: Annotated[CampaignId, SLUG]
    number: Annotated[int, Field(strict=True, ge=1, le=CAMPAIGN_NUMBER_MAX)]
    edition: Annotated[int, Field(strict=True, ge=1, le=EDITION_MAX)] = 1
    name: Label
    title: Texts
    terms: Texts
    trigger: Trigger
    offer: Offer
    draw: Draw = Draw()
    budget: Budget
    limits: Limits = Limits()
    window: Window
    stacking: Stacking = Stacking()

    @model_validator(mode="after")
    def _can_be_published(self) -> "Campaign":
        if findings := tuple(self._findings()):
            raise Unfit(findings)
        return self

    def _findings(self) -> Iterator[Finding]:
        is_by_odds = self.draw.mode == "odds"
        if is_by_odds and self.draw.win_bps == 0:
            text = "draw.win_bps must be above 0 where draw.mode is odds: nobody could win"
            yield Finding(("draw", "win_bps"), text)
        if is_by_odds != (self.trigger.on == "shake"):
            path = ("draw", "mode") if is_by_odds else ("trigger", "on")
            yield Finding(path, "draw.mode odds goes with trigger.on shake, and only with it")
        worst_case_minor = self.budget.units * self.offer.liability_minor
        if self.budget.spend_minor < worst_case_minor:
            text = (
                f"budget.spend_minor is {self.budget.spend_minor}, below the worst case of {worst_case_minor} "
                f"({self.budget.units} coupons of {self.offer.liability_minor})"
            )
            yield Finding(("budget", "spend_minor"), text)
