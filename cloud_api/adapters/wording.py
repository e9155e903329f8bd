"""Every word that the console says, from catalogues, and amounts and instants as the reader's language writes them.

One gettext file per language in ``web/locales``. A message's id is a key such as ``funnel.shown``, its text may hold
``{facts}``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from importlib import resources
from typing import Literal
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_time, format_timedelta, get_timezone_gmt
from babel.messages.pofile import read_po
from babel.numbers import format_currency, format_decimal, format_percent

from engagement.campaign.model import LANGUAGES
from engagement.clock.moment import from_ms
from engagement.money import minor_exponent

# More ranges than this in one Accept-Language header are no browser's.
_RANGES_MAX = 20


@dataclass(frozen=True)
class Wording:
    """The words in one language."""

    language: str
    texts: Mapping[str, str]

    @cached_property
    def _locale(self) -> Locale:
        return Locale.parse(self.language, sep="-")

    def text(self, key: str, **facts: object) -> str:
        """The message with its facts filled in. Errors: KeyError for a key or a fact that is missing."""
        return self.texts[key].format_map(facts)

    def known(self, key: str, otherwise: str) -> str:
        """The message, or what is given where there is none: codes of another version have no words here."""
        return self.texts.get(key, otherwise)

    def money(self, minor: int, currency: str) -> str:
        """The amount with all of its currency's decimals, as ``CN¥100.00``: none is rounded away, also where people use fewer."""
        decimals = minor_exponent(currency)
        return format_currency(
            Decimal(minor).scaleb(-decimals),
            currency,
            "¤#,##0" + "." * bool(decimals) + "0" * decimals,
            locale=self._locale,
            currency_digits=False,
        )

    def number(self, value: int) -> str:
        return format_decimal(value, locale=self._locale)

    def share(self, part: int, whole: int) -> str:
        """In whole percent; a dash where there is no whole."""
        return format_percent(part / whole, "#,##0%", locale=self._locale) if whole else "–"

    def span(self, span_ms: int) -> str:
        """A time that has passed, in its largest unit, as ``3 minutes``."""
        return format_timedelta(max(span_ms, 0) // 1000, threshold=1.5, locale=self._locale)

    def instant(self, instant_ms: int, zone: ZoneInfo) -> str:
        """Day and second in a time zone: one coupon is issued and redeemed within minutes."""
        return self._written(from_ms(instant_ms).astimezone(zone), "medium")

    def minute(self, local: datetime) -> str:
        """Day and minute as a clock of that offset reads them, and the offset."""
        return f"{self._written(local, 'short')} ({get_timezone_gmt(local, locale=self._locale)})"

    def _written(self, local: datetime, length: Literal["short", "medium"]) -> str:
        day = format_date(local, "medium", locale=self._locale)
        joint = " " if self.language.startswith("zh") else ", "
        return f"{day}{joint}{format_time(local.time(), length, locale=self._locale)}"


class CatalogueFault(Exception):
    """A catalogue file that cannot be used: our bug, found by the tests."""

    code = "catalogue_fault"


@dataclass(frozen=True)
class Catalogue:
    """``wordings`` in the order of LANGUAGES."""

    wordings: tuple[Wording, ...]

    @classmethod
    def load(cls) -> "Catalogue":
        """Errors: CatalogueFault, FileNotFoundError."""
        return cls(tuple(Wording(language, _read(language)) for language in LANGUAGES))

    def choose(self, chosen: str | None, accept_language: str | None) -> Wording:
        """The language that was chosen, else what the browser likes best, else the first.

        ``accept_language`` as in RFC 9110 section 12.5.4. Regions and scripts are overlooked: somebody who reads
        zh-TW is better served by zh-Hans than by English.
        """
        wanted = [chosen or "", *_by_preference(accept_language or "")]
        for tag in wanted:
            for wording in self.wordings:
                if tag.lower().partition("-")[0] == wording.language.partition("-")[0]:
                    return wording
        return self.wordings[0]


def _read(language: str) -> Mapping[str, str]:
    name = f"console.{language}.po"
    with (resources.files("cloud_api") / "web" / "locales" / name).open("rb") as file:
        catalogue = read_po(file, locale=language.replace("-", "_"), abort_invalid=True)
    texts: dict[str, str] = {}
    for message in catalogue:
        if not message.id:
            continue
        if message.fuzzy or not isinstance(message.string, str) or not message.string:
            raise CatalogueFault(
                f"{name}: {message.id!r} has no finished text; write it and drop any 'fuzzy' mark"
            )
        texts[str(message.id)] = message.string
    return texts


def _by_preference(accept_language: str) -> list[str]:
    weighed: list[tuple[float, str]] = []
    for part in accept_language.split(",")[:_RANGES_MAX]:
        tag, _, parameter = part.partition(";")
        weight = _weight(parameter)
        if weight > 0:
            weighed.append((weight, tag.strip()))
    return [tag for _, tag in sorted(weighed, key=lambda pair: -pair[0])]


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
