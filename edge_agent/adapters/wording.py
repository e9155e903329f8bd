"""Every word that a page says, from catalogues, and amounts and instants as the reader's language writes them.

Each area (guest, staff) has one gettext file per language in ``web/locales``. A message's id is a key such as
``wallet.empty``, its text may hold ``{facts}``. Refusals keep their sentences in ``engagement.refusal``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from importlib import resources
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_time
from babel.messages.pofile import read_po
from babel.numbers import format_currency, format_decimal

from engagement.campaign.model import LANGUAGES
from engagement.clock.moment import from_ms
from engagement.money import minor_exponent
from engagement.refusal.refusal import Refusal
from engagement.refusal.sentence import Sentences, sentences

# More ranges than this in one Accept-Language header are no browser's.
_RANGES_MAX = 20


@dataclass(frozen=True)
class Wording:
    """One area's words in one language."""

    language: str
    texts: Mapping[str, str]

    @cached_property
    def _locale(self) -> Locale:
        return Locale.parse(self.language, sep="-")

    def text(self, key: str, **facts: object) -> str:
        """The message with its facts filled in. Errors: KeyError for a key or a fact that is missing."""
        return self.texts[key].format_map(facts)

    def money(self, minor: int, currency: str) -> str:
        """The amount with all of its currency's decimals, as ``¥100.00``: none is rounded away, also where people use fewer."""
        decimals = minor_exponent(currency)
        return format_currency(
            _major(minor, currency),
            currency,
            "¤#,##0" + "." * bool(decimals) + "0" * decimals,
            locale=self._locale,
            currency_digits=False,
        )

    def money_brief(self, minor: int, currency: str) -> str:
        """The amount for a headline: decimals only where they say something, as ``¥100`` or ``¥9.50``."""
        if minor % 10 ** minor_exponent(currency):
            return self.money(minor, currency)
        return format_currency(
            _major(minor, currency), currency, "¤#,##0", locale=self._locale, currency_digits=False
        )

    def number(self, value: int | float) -> str:
        return format_decimal(value, locale=self._locale)

    def percent(self, basis_points: int) -> str:
        """As ``15%`` or ``12.5%``."""
        return f"{format_decimal(Decimal(basis_points) / 100, locale=self._locale)}%"

    def instant(self, instant_ms: int, zone: ZoneInfo) -> str:
        """Day and minute in a time zone, as ``Nov 21, 2026, 8:52 PM``."""
        day = format_date(from_ms(instant_ms).astimezone(zone), "medium", locale=self._locale)
        joint = " " if self.language.startswith("zh") else ", "
        return f"{day}{joint}{self.clock(instant_ms, zone)}"

    def day(self, instant_ms: int, zone: ZoneInfo) -> str:
        """The calendar day in a time zone, with its weekday."""
        return format_date(from_ms(instant_ms).astimezone(zone), "full", locale=self._locale)

    def clock(self, instant_ms: int, zone: ZoneInfo) -> str:
        """Hour and minute in a time zone."""
        return format_time(from_ms(instant_ms), "short", tzinfo=zone, locale=self._locale)


def _major(minor: int, currency: str) -> Decimal:
    return Decimal(minor).scaleb(-minor_exponent(currency))


class CatalogueFault(Exception):
    """A catalogue file that cannot be used: our bug, found by the tests."""

    code = "catalogue_fault"


@dataclass(frozen=True)
class Catalogue:
    """One area's words in every language; ``wordings`` in the order of LANGUAGES."""

    wordings: tuple[Wording, ...]

    @classmethod
    def load(cls, area: str) -> "Catalogue":
        """Read the area's files. Errors: CatalogueFault, FileNotFoundError."""
        return cls(tuple(Wording(language, _read(area, language)) for language in LANGUAGES))

    def wording(self, language: str) -> Wording:
        """Errors: KeyError for a language that the pages do not speak."""
        for wording in self.wordings:
            if wording.language == language:
                return wording
        raise KeyError(language)

    def choose(self, accept_language: str | None, offered: Sequence[str]) -> Wording:
        """The offered language that the reader likes best; the first one offered when none fits.

        ``accept_language`` as in RFC 9110 section 12.5.4. Regions and scripts are overlooked: somebody who reads
        zh-TW is better served by zh-Hans than by English.
        """
        for wanted in _by_preference(accept_language or ""):
            for language in offered:
                if wanted == language.lower():
                    return self.wording(language)
            for language in offered:
                if wanted.partition("-")[0] == language.lower().partition("-")[0]:
                    return self.wording(language)
        return self.wording(offered[0])


def _read(area: str, language: str) -> Mapping[str, str]:
    name = f"{area}.{language}.po"
    with (resources.files("edge_agent") / "web" / "locales" / name).open("rb") as file:
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
    """The language tags in lower case, best first; those with q=0 are not wanted at all."""
    weighed: list[tuple[float, str]] = []
    for part in accept_language.split(",")[:_RANGES_MAX]:
        tag, _, parameter = part.partition(";")
        weight = _weight(parameter)
        if weight > 0 and tag.strip() not in ("", "*"):
            weighed.append((weight, tag.strip().lower()))
    return [tag for _, tag in sorted(weighed, key=lambda pair: -pair[0])]


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def refusal_sentences(refusal: Refusal, wording: Wording, zone: ZoneInfo) -> Sentences:
    """What to tell cashier and shopper, in their language, with amounts and instants as they write them."""
    facts = dict(refusal.words)
    facts |= {name: wording.instant(ms, zone) for name, ms in refusal.instants_ms.items()}
    facts |= {name: wording.money(minor, refusal.currency) for name, minor in refusal.amounts_minor.items()}
    return sentences(refusal.reason, wording.language, facts)
