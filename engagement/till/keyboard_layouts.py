"""What a scanner that types as a US keyboard leaves behind on a machine with another layout.

Each layout lists only where it differs from US for the characters of our codes: ``US character -> what appears``.
A character in ``DEAD`` waits for the next key and joins it. Source: the layouts of xkeyboard-config and Windows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from unicodedata import normalize

from engagement.coupon.base45 import ALPHABET

# Keys that print nothing by themselves, and the accent that they put on the next letter.
DEAD: Mapping[str, str] = {"`": "\u0300", "^": "\u0302", "¨": "\u0308"}


@dataclass(frozen=True, slots=True)
class Layout:
    """``name`` as operating systems call it."""

    name: str
    appears: Mapping[str, str]
    dead: frozenset[str] = frozenset()

    def types(self, text: str) -> str:
        """What appears when a US scanner sends the text."""
        out: list[str] = []
        waiting = ""
        for character in text:
            shown = self.appears.get(character, character)
            if waiting:
                out.append(_joined(waiting, shown))
                waiting = ""
            elif shown in self.dead:
                waiting = shown
            else:
                out.append(shown)
        return "".join(out) + waiting


def _joined(dead: str, shown: str) -> str:
    if shown == " ":
        return dead
    whole = normalize("NFC", shown + DEAD[dead])
    return whole if len(whole) == 1 else dead + shown


_AZERTY = dict(zip("1234567890", "&é\"'(-è_çà", strict=True)) | {
    "A": "Q", "Q": "A", "Z": "W", "W": "Z", "M": "?", ":": "M", ".": ":", "/": "!", "-": ")", "$": "4", "%": "5",
    "*": "8",
}  # fmt: skip
_CYRILLIC = dict(zip("QWERTYUIOPASDFGHJKLZXCVBNM", "ЙЦУКЕНГШЩЗФЫВАПРОЛДЯЧСМИТЬ", strict=True)) | {
    ":": "Ж", ".": "ю", "/": ".", "$": ";",
}  # fmt: skip

LAYOUTS: tuple[Layout, ...] = (
    Layout("US", {}),
    Layout(
        "Deutsch (QWERTZ)",
        {"Y": "Z", "Z": "Y", ":": "Ö", "/": "-", "-": "ß", "+": "`", "*": "("},
        frozenset("`"),
    ),
    Layout(
        "Schweiz (QWERTZ)",
        {"Y": "Z", "Z": "Y", ":": "é", "/": "-", "-": "'", "+": "`", "*": "(", "$": "ç"},
        frozenset("`"),
    ),
    Layout("Français (AZERTY)", _AZERTY),
    Layout("Español", {":": "Ñ", "/": "-", "-": "'", "+": "¿", "*": "("}),
    Layout("Español (Latinoamérica)", {":": "Ñ", "/": "-", "-": "'", "+": "¡", "*": "("}),
    Layout("Italiano", {":": "ç", "/": "-", "-": "'", "+": "^", "*": "("}),
    Layout("Português", {":": "Ç", "/": "-", "-": "'", "+": "»", "*": "("}),
    Layout("Português (Brasil, ABNT2)", {":": "Ç", "/": ";"}),
    Layout(
        "Svenska / Suomi",
        {":": "Ö", "/": "-", "-": "+", "+": "`", "*": "(", "$": "¤"},
        frozenset("`"),
    ),
    Layout("Dansk", {":": "Æ", "/": "-", "-": "+", "+": "`", "*": "(", "$": "¤"}, frozenset("`")),
    Layout("Norsk", {":": "Ø", "/": "-", "-": "+", "+": "`", "*": "(", "$": "¤"}, frozenset("`")),
    Layout("Türkçe (Q)", {":": "Ş", ".": "ç", "/": ".", "-": "*", "+": "_", "*": "(", "$": "+"}),
    Layout("日本語 (JIS)", {":": "+", "+": "~", "*": "("}),
    Layout("Русская", _CYRILLIC),
)

assert all(set(layout.appears) <= set(ALPHABET) for layout in LAYOUTS)
