"""A column of texts: each different one once, those that look alike together, their digits and random letters packed.

Shape: ``count`` texts, of which ``kinds`` differ:

    varint    kinds; absent when count is 1
    numbers   which of them each text is, counted from 0 in the order below; absent when kinds is 1 or count
    varint    how many patterns; absent when kinds is 1
    patterns  each a varint p: odd, number p >> 1 of PATTERNS; even, the p >> 1 octets that follow
    numbers   the pattern of each kind; absent when there is one pattern
    holes     pattern by pattern, hole by hole: of DIGITS a column of numbers, of HEX and BASE32 all characters packed
              in 4 or 5 bits each, high bits first, filled up to a whole octet with zeros
"""

import re
from binascii import hexlify, unhexlify
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from engagement.journal.malformed import MalformedBatch, UnknownVocabulary
from engagement.journal.number_column import read_numbers, write_numbers
from engagement.journal.octets import Reader, pack, unpack, varint, within
from engagement.journal.vocabulary import BASE32, BASE32_ALPHABET, DIGITS, HEX, PATTERNS

# A text with more has no structure worth the columns.
_HOLES_MAX: Final = 16
_NUMBERS: Final = {pattern: number for number, pattern in enumerate(PATTERNS)}
_HOLE: Final = re.compile(rb"([\x01-\x03])(.?)", re.DOTALL)
# Looked for in this order at each run of letters and digits: a UUID, a numbered name (shorter numbers cost less spelt
# out), random characters.
_RUN: Final = re.compile(
    rb"(?<![0-9A-Za-z])(?:([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
    rb"|([a-z]{0,2})([0-9]{3,18})|([0-9a-z]{8,64}))(?![0-9A-Za-z])"
)
_DECIMAL: Final = re.compile(rb"([0-9]{1,5})\.([0-9]{1,16})")
_IS_HEX: Final = re.compile(rb"(?:[0-9a-f]{2})+").fullmatch
_IS_BASE32: Final = re.compile(rb"[%b]+" % BASE32_ALPHABET).fullmatch
_VALUES: Final = {character: value for value, character in enumerate(BASE32_ALPHABET)}
_LETTERS: Final = BASE32_ALPHABET.ljust(256)


def write_texts(texts: Sequence[bytes], *, by_name: bool) -> bytes:
    """The column of at least one text; none holds an octet below 0x20. ``by_name``: use no table."""
    kinds = list(dict.fromkeys(texts))
    if len(texts) == 1:
        return _write_kinds(kinds, by_name)
    head = varint(len(kinds))
    if 1 < len(kinds) < len(texts):
        places = {kind: place for place, kind in enumerate(kinds)}
        head += write_numbers([places[text] for text in texts])
    return head + _write_kinds(kinds, by_name)


def read_texts(reader: Reader, count: int) -> list[bytes]:
    """``count`` is at least 1. Errors: MalformedBatch."""
    if count == 1:
        return _read_kinds(reader, 1)
    n_kinds = reader.count("kinds of text", count)
    if n_kinds == 1:
        return _read_kinds(reader, 1) * count
    if n_kinds == count:
        return _read_kinds(reader, count)
    places = within(read_numbers(reader, count, "kind of text"), n_kinds, "kind of text")
    kinds = _read_kinds(reader, n_kinds)
    return [kinds[place] for place in places]


class _Text(NamedTuple):
    """A text as its pattern and what fills the holes."""

    pattern: bytes
    fillings: tuple[bytes, ...]


def _take_apart(text: bytes) -> _Text:
    decimal = _DECIMAL.fullmatch(text)
    if decimal:
        before, after = decimal.groups()
        return _Text(_digits(before) + b"." + _digits(after), (before, after))
    fillings: list[bytes] = []

    def hole(run: re.Match[bytes]) -> bytes:
        uuid, letters, digits, mixed = run.groups()
        if digits:
            fillings.append(digits)
            return letters + _digits(digits)
        if uuid:
            parts = uuid.split(b"-")
            fillings.extend(parts)
            return b"-".join(HEX + bytes([len(part)]) for part in parts)
        mark = HEX if _IS_HEX(mixed) else BASE32 if _IS_BASE32(mixed) else None
        if mark is None:
            return mixed
        fillings.append(mixed)
        return mark + bytes([len(mixed)])

    pattern = _RUN.sub(hole, text)
    return _Text(pattern, tuple(fillings)) if len(fillings) <= _HOLES_MAX else _Text(text, ())


def _digits(text: bytes) -> bytes:
    return DIGITS + bytes([len(text)])


def _write_kinds(kinds: Sequence[bytes], by_name: bool) -> bytes:
    by_pattern: dict[bytes, list[tuple[bytes, ...]]] = {}
    which = []
    for pattern, fillings in map(_take_apart, kinds):
        by_pattern.setdefault(pattern, []).append(fillings)
        which.append(pattern)
    patterns = {pattern: place for place, pattern in enumerate(by_pattern)}
    parts = [varint(len(patterns))] if len(kinds) > 1 else []
    parts += [_reference(pattern, by_name) for pattern in patterns]
    if len(patterns) > 1:
        parts.append(write_numbers([patterns[pattern] for pattern in which]))
    for pattern, rows in by_pattern.items():
        for (mark, _), column in zip(_read_pattern(pattern).holes, zip(*rows, strict=True), strict=True):
            parts.append(_FILLINGS[mark].write(column))
    return b"".join(parts)


def _reference(pattern: bytes, by_name: bool) -> bytes:
    number = None if by_name else _NUMBERS.get(pattern)
    return varint(2 * len(pattern)) + pattern if number is None else varint(2 * number + 1)


def _read_kinds(reader: Reader, count: int) -> list[bytes]:
    n_patterns = 1 if count == 1 else reader.count("patterns of text", count)
    patterns = [_read_reference(reader) for _ in range(n_patterns)]
    if n_patterns == 1:
        return _fill(reader, patterns[0], count)
    which = within(read_numbers(reader, count, "pattern of text"), n_patterns, "pattern of text")
    uses = Counter(which)
    if len(uses) < n_patterns:
        raise MalformedBatch("patterns of text", n_patterns, f"the {len(uses)} that are used")
    filled = [iter(_fill(reader, pattern, uses[place])) for place, pattern in enumerate(patterns)]
    return [next(filled[place]) for place in which]


class _Pattern(NamedTuple):
    """``template`` for %-formatting with a filling for each of ``holes`` (mark, characters)."""

    template: bytes
    holes: tuple[tuple[bytes, int], ...]
    chars: int


def _read_pattern(pattern: bytes) -> _Pattern:
    pieces = _HOLE.split(pattern)
    template = pieces[0].replace(b"%", b"%%")
    chars, holes = len(pieces[0]), []
    for mark, length, literal in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        if not length or length == b"\0" or (mark == HEX and length[0] % 2):
            raise MalformedBatch(
                "pattern of text", pattern, "holes of 1 to 255 characters, of HEX an even number"
            )
        holes.append((mark, length[0]))
        chars += length[0] + len(literal)
        template += (b"%%0%dd" % length[0] if mark == DIGITS else b"%b") + literal.replace(b"%", b"%%")
    if len(holes) > _HOLES_MAX:
        raise MalformedBatch("pattern of text", f"one of {len(holes)} holes", f"at most {_HOLES_MAX} holes")
    return _Pattern(template, tuple(holes), chars)


def _read_reference(reader: Reader) -> _Pattern:
    reference = reader.varint("pattern of text")
    if reference % 2 == 0:
        return _read_pattern(reader.take(reference >> 1, "pattern of text"))
    if reference >> 1 >= len(_KNOWN):
        raise UnknownVocabulary("pattern of text", f"number {reference >> 1}", f"0 to {len(_KNOWN) - 1}")
    return _KNOWN[reference >> 1]


def _fill(reader: Reader, pattern: _Pattern, count: int) -> list[bytes]:
    reader.expand(count * pattern.chars, "pattern of text")
    if not pattern.holes:
        return [pattern.template % ()] * count
    columns = [_FILLINGS[mark].read(reader, count, length) for mark, length in pattern.holes]
    template = pattern.template
    return [template % row for row in zip(*columns, strict=True)]


def _write_digits(texts: Sequence[bytes]) -> bytes:
    return write_numbers([int(text) for text in texts])


def _read_digits(reader: Reader, count: int, length: int) -> Sequence[int]:
    return read_numbers(reader, count, "digits of text")


def _write_hex(texts: Sequence[bytes]) -> bytes:
    return unhexlify(b"".join(texts))


def _read_hex(reader: Reader, count: int, length: int) -> Sequence[bytes]:
    return _cut(hexlify(reader.take(count * length // 2, "hex of text")), count, length)


def _write_base32(texts: Sequence[bytes]) -> bytes:
    return pack([_VALUES[character] for text in texts for character in text], 5)


def _read_base32(reader: Reader, count: int, length: int) -> Sequence[bytes]:
    packed = reader.take((5 * count * length + 7) // 8, "base32 of text")
    return _cut(bytes(unpack(packed, 5, count * length)).translate(_LETTERS), count, length)


def _cut(characters: bytes, count: int, length: int) -> Sequence[bytes]:
    return [characters[at : at + length] for at in range(0, count * length, length)]


class _Filling(NamedTuple):
    """How a column of what fills one hole is written, and read: (reader, count, characters of each)."""

    write: Callable[[Sequence[bytes]], bytes]
    read: Callable[[Reader, int, int], Sequence[bytes] | Sequence[int]]


_FILLINGS: Final = {
    DIGITS: _Filling(_write_digits, _read_digits),
    HEX: _Filling(_write_hex, _read_hex),
    BASE32: _Filling(_write_base32, _read_base32),
}
_KNOWN: Final = tuple(map(_read_pattern, PATTERNS))
