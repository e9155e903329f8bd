"""The catalogues: whole in every language, used to the last key; amounts, instants and the choice of language."""

import re
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cloud_api.adapters.wording import Wording as AtHq
from edge_agent.adapters.wording import Catalogue, Wording, refusal_sentences
from engagement.campaign.model import LANGUAGES
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal

AGENT = Path(__file__).parents[2] / "edge_agent"
AREAS = sorted({path.name.partition(".")[0] for path in (AGENT / "web" / "locales").glob("*.po")})
# ``t("key")`` in templates, ``.text("key")`` or ``say("key")`` in Python.
USE = re.compile(r"""\b(?:t|text|say)\(\s*["']([a-z0-9_.]*[a-z0-9_])["']""")
# The other key of ``t("key" if so else "key")``.
OTHERWISE = re.compile(r"""\bt\([^()]*? else ["']([a-z0-9_.]+)["']""")
# The beginning of keys that differ by a word the code has, as in ``"error." + status`` or ``f"error.{status}"``.
FAMILY = re.compile(r"""["']([a-z0-9_]+(?:\.[a-z0-9_]+)*\.)(?:["']|\{)""")
SHANGHAI = ZoneInfo("Asia/Shanghai")
NOON_MS = 1_763_697_600_000  # 2025-11-21T12:00 in Shanghai


def sources(area: str) -> Iterator[Path]:
    for folder in (AGENT / "web" / area, AGENT / "adapters" / f"{area}_http"):
        yield from (path for path in folder.rglob("*") if path.suffix in {".html", ".py"})


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"{(\w+)}", text))


@pytest.mark.parametrize("area", AREAS)
def test_every_key_is_used_and_every_used_key_has_a_text_in_each_language(area: str) -> None:
    texts = [path.read_text(encoding="utf-8") for path in sources(area)]
    used = {key for text in texts for form in (USE, OTHERWISE) for key in form.findall(text)}
    families = tuple({family for text in texts for family in FAMILY.findall(text)})
    for wording in Catalogue.load(area).wordings:
        unused = {key for key in wording.texts if key not in used and not key.startswith(families)}
        assert unused == set(), f"{wording.language}: nobody uses these"
        assert used - set(wording.texts) == set(), f"{wording.language}: these are missing"


@pytest.mark.parametrize("area", AREAS)
def test_the_languages_name_the_same_facts(area: str) -> None:
    first, *others = Catalogue.load(area).wordings
    for other in others:
        for key, text in first.texts.items():
            assert placeholders(text) == placeholders(other.texts[key]), key


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans"),
        ("zh-Hans-CN", "zh-Hans"),
        ("zh-TW,zh;q=0.9", "zh-Hans"),
        ("de-DE,de;q=0.9,zh;q=0.3", "zh-Hans"),
        ("en-GB;q=0.4, zh;q=0.5", "zh-Hans"),
        ("zh;q=0, en-US", "en"),
        ("fr, *;q=0.1", "en"),
        ("zh;q=x,;;,=,en", "en"),
    ],
)
def test_the_reader_gets_the_language_that_their_phone_asks_for(header: str | None, language: str) -> None:
    assert Catalogue.load("guest").choose(header, ("en", "zh-Hans")).language == language


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (123_456, "RSD", "RSD1,234.56"),
        (-123_456, "IQD", "-IQD123.456"),
        (123_456, "LYD", "LYD123.456"),
        (123_456, "VUV", "VUV123,456"),
        (1050, "LBP", "LBP10.50"),
    ],
)
def test_no_part_of_an_amount_is_rounded_away(minor: int, currency: str, text: str) -> None:
    """Also of currencies of which people use no coins any more: a coupon, a till and the books count them."""
    for wording in (Wording("en", {}), AtHq("en", {})):
        assert wording.money(minor, currency).replace("\u00a0", "") == text


def test_a_language_that_the_branch_does_not_offer_is_not_chosen() -> None:
    assert Catalogue.load("guest").choose("en", ("zh-Hans",)).language == "zh-Hans"


def test_amounts_and_instants_are_written_as_the_language_writes_them() -> None:
    english, chinese = Wording("en", {}), Wording("zh-Hans", {})
    assert english.money(10_050, "CNY") == "CN¥100.50"
    assert chinese.money(10_050, "CNY") == "¥100.50"
    assert chinese.money(500, "JPY") == "JP¥500"
    assert chinese.money_brief(10_000, "CNY") == "¥100"
    assert chinese.money_brief(950, "CNY") == "¥9.50"
    assert english.percent(1250) == "12.5%"
    assert english.instant(NOON_MS, SHANGHAI).replace("\u202f", " ") == "Nov 21, 2025, 12:00 PM"
    assert chinese.instant(NOON_MS, SHANGHAI) == "2025年11月21日 12:00"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_refusal_speaks_with_its_amounts_filled_in(language: str) -> None:
    short = Refusal(
        Reason.BELOW_MIN_SPEND, amounts_minor={"min_spend": 10_000, "short_by": 2_000}, currency="CNY"
    )
    said = refusal_sentences(short, Wording(language, {}), SHANGHAI)
    assert "100.00" in said.shopper
    assert "20.00" in said.remedy
