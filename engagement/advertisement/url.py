"""The shortened web address of an Eddystone-URL frame. Source: eddystone-url/README.md."""

from engagement.advertisement.malformed import MalformedFrame

_SCHEMES = ("http://www.", "https://www.", "http://", "https://")
_DOMAINS = (".com", ".org", ".edu", ".net", ".info", ".biz", ".gov")
# Codes 0 to 6 end in a slash, 7 to 13 do not.
_EXPANSIONS = tuple(f"{domain}/" for domain in _DOMAINS) + _DOMAINS
_TEXT_BYTES_MAX = 17
_GRAPHIC_FIRST, _GRAPHIC_LAST = 0x21, 0x7E


def decode_url(encoded: bytes) -> str:
    """The full address. Shape: scheme (1), then 1 to 17 bytes, each a graphic character or an expansion code.

    Errors: MalformedFrame.
    """
    if not encoded or encoded[0] >= len(_SCHEMES):
        found = f"0x{encoded[0]:02x}" if encoded else "missing"
        raise MalformedFrame("Eddystone-URL", "scheme", found, f"0x00 to 0x{len(_SCHEMES) - 1:02x}")
    text = encoded[1:]
    if not 1 <= len(text) <= _TEXT_BYTES_MAX:
        raise MalformedFrame("Eddystone-URL", "text length", len(text), f"1 to {_TEXT_BYTES_MAX}")
    return _SCHEMES[encoded[0]] + "".join(map(_expand, text))


def _expand(byte: int) -> str:
    if byte < len(_EXPANSIONS):
        return _EXPANSIONS[byte]
    if _GRAPHIC_FIRST <= byte <= _GRAPHIC_LAST:
        return chr(byte)
    allowed = f"0x00 to 0x{len(_EXPANSIONS) - 1:02x}, 0x{_GRAPHIC_FIRST:02x} to 0x{_GRAPHIC_LAST:02x}"
    raise MalformedFrame("Eddystone-URL", "text byte", f"0x{byte:02x}", allowed)


def encode_url(url: str) -> bytes:
    """The shortest bytes that ``decode_url`` turns into ``url``. Errors: ValueError when there are none."""
    scheme = next((scheme for scheme in _SCHEMES if url.startswith(scheme) and len(url) > len(scheme)), None)
    if scheme is None:
        raise ValueError(f"{url!r} begins with none of {', '.join(_SCHEMES)} and text behind it")
    text = _shorten(url[len(scheme) :])
    if len(text) > _TEXT_BYTES_MAX:
        raise ValueError(f"{url!r} takes {len(text)} bytes; allowed: 1 to {_TEXT_BYTES_MAX}")
    return bytes((_SCHEMES.index(scheme),)) + text


def _shorten(text: str) -> bytes:
    shortened = bytearray()
    while text:
        # The forms with a slash come first in the table, so the longer one is found first.
        code = next((code for code, end in enumerate(_EXPANSIONS) if text.startswith(end)), None)
        if code is not None:
            shortened.append(code)
            text = text[len(_EXPANSIONS[code]) :]
            continue
        if not _GRAPHIC_FIRST <= ord(text[0]) <= _GRAPHIC_LAST:
            raise ValueError(f"{text[0]!r} cannot stand in an address; allowed: graphic ASCII characters")
        shortened.append(ord(text[0]))
        text = text[1:]
    return bytes(shortened)
