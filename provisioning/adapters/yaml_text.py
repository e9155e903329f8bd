"""YAML text to plain Python values, and the lines at which they stand, by ``ruamel.yaml`` and its C parser.

Decides how a file of ten thousand branches is read in seconds: values are built straight from the parser's events,
scalars are resolved once per spelling, and lines are looked for in a second pass, only when there is something to
complain of. What a scalar means is ruamel's own reading of YAML 1.2. A key that stands twice is a complaint like any
other rather than the end of the reading. Anchors and merge keys are understood, tags of one's own are not.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.nodes import ScalarNode

A = TypeVar("A")
Path: TypeAlias = tuple[str | int, ...]
# Inventories are five levels deep; beyond this somebody tries what our stack bears.
_DEPTH_MAX: Final = 50
# An anchor may stand for much, and be named often; files of people name a few dozen.
_ALIASES_MAX: Final = 10_000
# ruamel's own parser reads 100 kB a second; a longer file is told what the C parser says.
_PURE_CHARS_MAX: Final = 500_000
_ABSENT: Final = object()
_MERGE: Final = "<<"
# Source: YAML 1.2.2, 5.1.
_STRANGE: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class NotYaml(Exception):
    """``line``: None where the parser tells none."""

    def __init__(self, line: int | None, because: str) -> None:
        super().__init__(because)
        self.line = line
        self.because = because


class Repeated(NamedTuple):
    """A key that stands twice in its mapping; the first one counts."""

    line: int
    path: Path


Settle: TypeAlias = Callable[[Any, dict[Any, Any]], Any]


class Content(NamedTuple):
    value: Any
    repeated: tuple[Repeated, ...]


def content_of(text: str, *, settle: Settle | None = None) -> Content:
    """The text's only document; None where it is empty.

    ``settle``: what to make of each mapping in a list right below the top, by the list's key, as soon as it is read: so
    that a file of ten thousand branches is never in memory as plain values too.
    Errors: NotYaml.
    """

    def build(events: Iterator[Any]) -> Content:
        builder = _Builder(settle)
        for event in events:
            builder.take(event)
        return Content(builder.value, tuple(builder.repeated))

    return _parsed(text, build)


def lines_of(text: str, paths: Iterable[Path]) -> dict[Path, int]:
    """Where each path, or the deepest part of it that the text has, begins; a value in a mapping begins with its key.

    Errors: NotYaml.
    """
    wanted = {path[:length] for path in paths for length in range(len(path) + 1)}
    found = _parsed(text, lambda events: _lines(events, wanted))
    return {path: _deepest(path, found) for path in wanted}


def _lines(events: Iterator[Any], wanted: set[Path]) -> dict[Path, int]:
    found: dict[Path, int] = {(): 1}
    stack: list[_Place] = []
    for event in events:
        kind = type(event)
        if kind is MappingEndEvent or kind is SequenceEndEvent:
            stack.pop()
        elif kind in _NODES:
            path = stack[-1].step(event) if stack else ()
            if path is not None and path in wanted:
                found.setdefault(path, stack[-1].line if stack else 1)
            if kind is MappingStartEvent or kind is SequenceStartEvent:
                # Whatever is not wanted is passed over with a path that nothing below can match.
                stack.append(_Place(path if path in wanted else None, kind is MappingStartEvent))
    return found


def _deepest(path: Path, found: dict[Path, int]) -> int:
    while path not in found:
        path = path[:-1]
    return found[path]


class _Place:
    """A mapping or a sequence that a pass is inside of."""

    __slots__ = ("index", "is_mapping", "key", "line", "path")

    def __init__(self, path: Path | None, is_mapping: bool) -> None:
        self.path = path
        self.is_mapping = is_mapping
        self.key: Any = _ABSENT
        self.index = -1
        self.line = 1

    def step(self, event: Any) -> Path | None:
        """The path of the value that begins; None for a key."""
        if self.is_mapping and self.key is _ABSENT:
            self.key = getattr(event, "value", None)
            self.line = event.start_mark.line + 1
            return None
        if self.is_mapping:
            step, self.key = self.key, _ABSENT
        else:
            self.index += 1
            step = self.index
            self.line = event.start_mark.line + 1
        return None if self.path is None else (*self.path, step)


_NODES: Final = frozenset((ScalarEvent, AliasEvent, MappingStartEvent, SequenceStartEvent))


class _Unparsed(NotYaml):
    """The parser's own objection."""


def _parsed(text: str, work: Callable[[Iterator[Any]], A]) -> A:
    """What ``work`` makes of the text's events. Errors: NotYaml.

    The C parser is one of YAML 1.1, which takes less in brackets and braces, as a time without quotes; what it refuses is
    tried with ruamel's own.
    """
    try:
        return work(_events(text, pure=False))
    except _Unparsed:
        if len(text) > _PURE_CHARS_MAX:
            raise
        return work(_events(text, pure=True))


def _events(text: str, *, pure: bool) -> Iterator[Any]:
    """Errors: _Unparsed."""
    try:
        yield from YAML(typ="safe", pure=pure).parse(text)
    except MarkedYAMLError as broken:
        mark = broken.problem_mark or broken.context_mark
        line = mark.line + 1 if mark else None
        raise _Unparsed(line, _plain(str(broken.problem or broken.context))) from broken
    except YAMLError as broken:
        strange = _STRANGE.search(text)
        if strange is None:
            raise _Unparsed(None, str(broken).splitlines()[0]) from broken
        because = f"the character U+{ord(strange[0]):04X} stands there, which no YAML holds"
        raise _Unparsed(text.count("\n", 0, strange.start()) + 1, because) from broken


def _plain(problem: str) -> str:
    """The one objection of the parser's that many people meet, in words for them."""
    return "a tab stands where only spaces may; indent with spaces" if r"'\t'" in problem else problem


class _Builder:
    """Takes events one by one; ``value`` is the whole once they are over."""

    def __init__(self, settle: Settle | None) -> None:
        self.value: Any = None
        self._settle = settle
        self.repeated: list[Repeated] = []
        self._scalars = _Scalars()
        self._anchors: dict[str, Any] = {}
        self._aliases = 0
        self._documents = 0
        # Outermost first.
        self._open: list[_Collection] = []

    def take(self, event: Any) -> None:
        kind = type(event)
        if kind is ScalarEvent:
            value = self._scalars.value(event)
            if event.anchor is not None:
                self._anchors[event.anchor] = value
            self._put(value, event)
        elif kind is MappingStartEvent or kind is SequenceStartEvent:
            self._begin({} if kind is MappingStartEvent else [], event)
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            self._end(self._open.pop())
        elif kind is AliasEvent:
            self._put(self._meant(event), event)
        elif kind is DocumentStartEvent:
            self._documents += 1
            if self._documents > 1:
                raise NotYaml(_line(event), "a second document begins; allowed: one")

    def _begin(self, value: Any, event: Any) -> None:
        if event.tag is not None and not event.implicit:
            raise NotYaml(_line(event), "a tag is not understood here")
        if len(self._open) >= _DEPTH_MAX:
            raise NotYaml(_line(event), f"it is nested more than {_DEPTH_MAX} deep")
        self._put(value, event)
        if event.anchor is not None:
            self._anchors[event.anchor] = value
        self._open.append(_Collection(value))

    def _end(self, ended: "_Collection") -> None:
        ended.end()
        if self._settle is not None and ended.is_mapping and len(self._open) == 2:
            top, inside = self._open
            if top.is_mapping and not inside.is_mapping:
                inside.value[-1] = self._settle(top.key, ended.value)

    def _meant(self, event: Any) -> Any:
        self._aliases += 1
        if self._aliases > _ALIASES_MAX:
            raise NotYaml(_line(event), f"it names anchors more than {_ALIASES_MAX} times")
        value = self._anchors.get(event.anchor, _ABSENT)
        if value is _ABSENT or any(value is one.value for one in self._open):
            raise NotYaml(_line(event), f"the anchor {event.anchor!r} stands for nothing yet")
        return value

    def _put(self, value: Any, event: Any) -> None:
        if not self._open:
            self.value = value
            return
        inside = self._open[-1]
        if not inside.is_mapping:
            inside.value.append(value)
        elif not inside.awaits_value:
            self._put_key(value, event, inside)
        else:
            inside.awaits_value = False
            if inside.merges:
                # A list of anchors is still empty here.
                inside.merged.append((value, _line(event)))
            else:
                inside.value.setdefault(inside.key, value)

    def _put_key(self, key: Any, event: Any, inside: "_Collection") -> None:
        if isinstance(key, dict | list):
            raise NotYaml(_line(event), "a mapping or a list stands for a key")
        if key in inside.value:
            # Each collection that is open is the value of the key, or the last item, of the one around it.
            path = tuple(one.step for one in self._open[:-1])
            self.repeated.append(Repeated(_line(event), (*path, key)))
        inside.key, inside.awaits_value = key, True
        # Quoted, it is a text like any other.
        inside.merges = key == _MERGE and type(event) is ScalarEvent and event.implicit[0]


class _Collection:
    """A mapping or a list that is being built; ``key``: the last one, whose value is there or comes next."""

    __slots__ = ("awaits_value", "is_mapping", "key", "merged", "merges", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.is_mapping = type(value) is dict
        self.key: Any = None
        self.awaits_value = False
        self.merges = False
        self.merged: list[tuple[Any, int]] = []

    @property
    def step(self) -> Any:
        return self.key if self.is_mapping else len(self.value) - 1

    def end(self) -> None:
        """What is merged in yields to what is written out, and to what was merged before it."""
        for merged, line in self.merged:
            for other in merged if isinstance(merged, list) else [merged]:
                if not isinstance(other, dict):
                    raise NotYaml(line, "only mappings can be merged in")
                for key, value in other.items():
                    self.value.setdefault(key, value)


class _Scalars:
    """What scalars mean, each spelling worked out once: also a file of a million has few, and equal texts are kept once."""

    def __init__(self) -> None:
        self._plain: dict[str, Any] = {}
        self._quoted: dict[str, str] = {}
        # Never parses: it only knows what plain scalars and tags mean.
        self._yaml = YAML(typ="safe", pure=True)

    def value(self, event: Any) -> Any:
        text = event.value
        if event.implicit[0] and event.tag is None:
            value = self._plain.get(text, _ABSENT)
            if value is _ABSENT:
                value = self._plain[text] = self._constructed(text, event, (True, False))
            return value
        if event.tag is None:
            return self._quoted.setdefault(text, text)
        return self._constructed(text, event, event.implicit)

    def _constructed(self, text: str, event: Any, implicit: tuple[bool, bool]) -> Any:
        is_tagged = event.tag is not None
        tag = event.ctag if is_tagged else self._yaml.resolver.resolve(ScalarNode, text, implicit)
        node = ScalarNode(tag, text, start_mark=event.start_mark, end_mark=event.end_mark)
        try:
            return self._yaml.constructor.construct_object(node)
        except (YAMLError, ValueError, OverflowError) as strange:
            if is_tagged:
                raise NotYaml(
                    _line(event), f"{text[:60]!r} is not what its tag says: {_told(strange)}"
                ) from strange
            return text


def _told(error: Exception) -> str:
    return str(getattr(error, "problem", None) or error).splitlines()[0]


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1
