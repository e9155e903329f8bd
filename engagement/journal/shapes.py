"""Events of one shape as columns: their JSON with holes once, and what fills each hole.

The JSON is cut by its text, never parsed and written again: whatever fits between the holes comes back as it was, be it
an event kind, a field or a spacing that no version knows. What cannot be cut travels whole.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from engagement.journal.malformed import MalformedBatch, UnknownVocabulary
from engagement.journal.number_column import read_numbers, write_numbers
from engagement.journal.octets import Reader, varint
from engagement.journal.text_column import read_texts, write_texts
from engagement.journal.vocabulary import INSTANT, NUMBER, OTHER, SHAPES, TEXT

# The shape of a body that travels whole: no JSON is empty.
WHOLE: Final = b""
# An event with more fields than this has not been thought of; it travels whole.
_HOLES_MAX: Final = 64
_HOLE: Final = re.compile(rb"[\x01-\x04]")
# First what stays in the shape: the event's kind, and names. Then what fills a hole: a text, a whole number of at most
# 18 digits, and any other scalar or a list of plain texts. Strings are taken whole, so that nothing inside one is
# mistaken for a number.
_STRING: Final = rb"[^\"\\\x00-\x1f]*(?:\\[^\x00-\x1f][^\"\\\x00-\x1f]*)*"
_SCALAR: Final = re.compile(
    rb'("what":"[a-z_]{1,40}"|"%b"\s*:)'
    rb'|"(%b)"'
    rb"|(0|-?[1-9][0-9]{0,17})(?![0-9.eE+-])"
    rb'|(true|false|-?[0-9][0-9.eE+-]*|\[(?:"[^"\\\[\]\x00-\x1f]*",?)*\])' % (_STRING, _STRING)
)
# Longer bodies are nobody's event; cutting is kept from texts that a pattern could be slow on.
_CUT_BYTES_MAX: Final = 16_384
# An octet that could be taken for a hole.
_UNCUTTABLE: Final = re.compile(rb"[\x00-\x08]")
_NUMBERS: Final = {shape: number for number, shape in enumerate(SHAPES)}
_MARKED: Final = {shape.replace(INSTANT, NUMBER): shape for shape in SHAPES}


class Cut(NamedTuple):
    """A body as its shape, all of whose numbers are NUMBER, and what fills the holes."""

    shape: bytes
    fillings: tuple[bytes | int, ...]


def cut(body: bytes) -> Cut:
    """Shape WHOLE, with the body itself as the only filling, when it would not come back byte for byte."""
    fillings: list[bytes | int] = []

    def hole(scalar: re.Match[bytes]) -> bytes:
        name, text, number, other = scalar.groups()
        if name is not None:
            return bytes(name)
        if text is not None:
            fillings.append(text)
            return b'"%b"' % TEXT
        fillings.append(other if number is None else int(number))
        return OTHER if number is None else NUMBER

    if not body or len(body) > _CUT_BYTES_MAX or _UNCUTTABLE.search(body):
        return Cut(WHOLE, (body,))
    shape = _SCALAR.sub(hole, body)
    # Cutting loses nothing by its construction; but what came back altered could never be mended at HQ.
    if len(fillings) > _HOLES_MAX or _own_template(shape) % tuple(fillings) != body:
        return Cut(WHOLE, (body,))
    return Cut(shape, tuple(fillings))


def template_of(shape: bytes) -> bytes:
    """The shape for %-formatting with its fillings."""
    return _HOLE.sub(
        lambda hole: b"%d" if hole[0] in (NUMBER, INSTANT) else b"%b", shape.replace(b"%", b"%%")
    )


# Of our own shapes alone, which are short and few; never of a stranger's.
_own_template = lru_cache(maxsize=64)(template_of)


class Columns(NamedTuple):
    """What stands in a batch for all bodies of one shape: how the shape is referred to, and what fills its holes."""

    reference: bytes
    fillings: bytes


def write_bodies(cuts: Sequence[Cut], stamps_ms: Sequence[int], *, by_name: bool) -> Columns:
    """At least one body, all of one shape, with the wall_ms of their stamps. ``by_name``: use no table."""
    if cuts[0].shape == WHOLE:
        bodies = [body for one in cuts for body in one.fillings if isinstance(body, bytes)]
        return Columns(varint(0), write_numbers([*map(len, bodies)]) + b"".join(bodies))
    columns = [*zip(*(one.fillings for one in cuts), strict=True)]
    shape = _MARKED.get(cuts[0].shape) or _mark(cuts[0].shape, columns, stamps_ms)
    holes = _HOLE.findall(shape)
    written = (
        _write_column(hole, column, stamps_ms, by_name) for hole, column in zip(holes, columns, strict=True)
    )
    return Columns(_reference(shape, by_name), b"".join(written))


class Written(NamedTuple):
    """Bodies of one shape as they stand in a batch. ``columns``: for each hole what fills it, body by body; ``places``:
    which of the batch's entries they are, counted from 0, ascending."""

    shape: "Shape"
    columns: Sequence[Sequence[bytes] | Sequence[int]]
    places: Sequence[int]
    bodies: Sequence[bytes]


def read_bodies(reader: Reader, shape: "Shape", stamps_ms: Sequence[int], places: Sequence[int]) -> Written:
    """As many bodies as stamps, of which there is at least one. Errors: MalformedBatch."""
    if shape.template == WHOLE:
        lengths = read_numbers(reader, len(stamps_ms), "length of body")
        return Written(shape, (), places, [reader.take(length, "body") for length in lengths])
    reader.expand(len(stamps_ms) * shape.chars, "shape")
    template = shape.template
    if not shape.holes:
        return Written(shape, (), places, [template % ()] * len(stamps_ms))
    columns = [_read_column(reader, hole, stamps_ms) for hole in shape.holes]
    return Written(shape, columns, places, [template % row for row in zip(*columns, strict=True)])


class Shape(NamedTuple):
    """``template`` for %-formatting with a filling for each of ``holes``; ``chars`` stand between them."""

    template: bytes
    holes: tuple[bytes, ...]
    chars: int


def read_shape(reader: Reader) -> Shape:
    """The shape that a reference names: 0 is WHOLE; odd r, number r >> 1 of SHAPES; even, the r >> 1 octets that follow.

    Errors: MalformedBatch, of which UnknownVocabulary when the table here is older than the sender's.
    """
    reference = reader.varint("shape")
    if reference % 2 == 0:
        return _shape(reader.take(reference >> 1, "shape"))
    if reference >> 1 >= len(_KNOWN):
        raise UnknownVocabulary("shape", f"number {reference >> 1}", f"0 to {len(_KNOWN) - 1}")
    return _KNOWN[reference >> 1]


def _shape(shape: bytes) -> Shape:
    holes = _HOLE.findall(shape)
    if len(holes) > _HOLES_MAX:
        raise MalformedBatch("shape", f"one of {len(holes)} holes", f"at most {_HOLES_MAX} holes")
    return Shape(template_of(shape), tuple(holes), len(shape) - len(holes))


def _reference(shape: bytes, by_name: bool) -> bytes:
    number = None if by_name else _NUMBERS.get(shape)
    return varint(2 * len(shape)) + shape if number is None else varint(2 * number + 1)


def _mark(shape: bytes, columns: Sequence[Sequence[bytes | int]], stamps_ms: Sequence[int]) -> bytes:
    """The shape with INSTANT where a column's numbers are smaller when counted from the stamps."""
    fillings = iter(columns)

    def marked(hole: re.Match[bytes]) -> bytes:
        column = next(fillings)
        if hole[0] != NUMBER:
            return hole[0]
        numbers = [number for number in column if isinstance(number, int)]
        distances = [number - stamp for number, stamp in zip(numbers, stamps_ms, strict=True)]
        return INSTANT if max(map(abs, distances)) < max(map(abs, numbers)) else NUMBER

    return _HOLE.sub(marked, shape)


def _write_column(
    hole: bytes, column: Sequence[bytes | int], stamps_ms: Sequence[int], by_name: bool
) -> bytes:
    if hole in (TEXT, OTHER):
        return write_texts([text for text in column if isinstance(text, bytes)], by_name=by_name)
    numbers = [number for number in column if isinstance(number, int)]
    if hole == INSTANT:
        numbers = [number - stamp for number, stamp in zip(numbers, stamps_ms, strict=True)]
    return write_numbers(numbers)


def _read_column(reader: Reader, hole: bytes, stamps_ms: Sequence[int]) -> Sequence[bytes] | Sequence[int]:
    if hole in (TEXT, OTHER):
        texts = read_texts(reader, len(stamps_ms))
        reader.expand(sum(map(len, texts)), "text")
        return texts
    numbers = read_numbers(reader, len(stamps_ms), "number")
    if hole == NUMBER:
        return numbers
    return [stamp + number for stamp, number in zip(stamps_ms, numbers, strict=True)]


_KNOWN: Final = tuple(map(_shape, SHAPES))
