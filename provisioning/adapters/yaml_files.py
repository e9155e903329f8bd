"""Inventories and campaigns from YAML files, every mistake with its file and line, all at once.

Decides which files an inventory's ``campaigns`` mean. What is wrong with one file never hides what is wrong with another.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import ValidationError

from engagement.campaign.model import Campaign
from engagement.estate.branch import Branch
from engagement.estate.complaint import Complaint, Mistake, mistakes_of, with_lines
from engagement.estate.inventory import Inventory
from engagement.estate.loose import inventory_findings, twice_heard_findings
from engagement.finding import Finding
from engagement.values import Value
from provisioning.adapters.yaml_text import NotYaml, Settle, content_of, lines_of
from provisioning.faults import ConfigurationWrong

V = TypeVar("V", bound=Value)


class Written(NamedTuple):
    """What people wrote down of a chain. ``campaigns``: None where the inventory names no files of campaigns;
    ``campaign_files``: where each of them stands."""

    inventory: Inventory
    campaigns: tuple[Campaign, ...] | None
    campaign_files: tuple[Path, ...]


def read_inventory(path: Path) -> Inventory:
    """Errors: ConfigurationWrong."""
    return read_chain(path).inventory


def read_chain(path: Path, more: Sequence[Path] = ()) -> Written:
    """The inventory and the campaigns that it names, and ``more`` files of campaigns besides.

    Errors: ConfigurationWrong with the complaints of all files.
    """
    read = _read(
        path,
        Inventory,
        settle=_settled,
        beside=inventory_findings,
        also=lambda content: _also(path.parent, content),
    )
    named = [*_campaign_files(path.parent, read.content), *more]
    files = list({file.resolve(): file for file in reversed(named)}.values())[::-1]
    complaints = list(read.complaints)
    campaigns: Sequence[Campaign] = ()
    try:
        campaigns = read_campaigns(files)
    except ConfigurationWrong as wrong:
        complaints += wrong.complaints
    if complaints or read.value is None:
        raise ConfigurationWrong(*complaints)
    names_none = read.value.campaigns is None and not more
    return Written(read.value, None if names_none else tuple(campaigns), tuple(files))


def read_campaigns(paths: Sequence[Path]) -> list[Campaign]:
    """In the order of the paths. Errors: ConfigurationWrong with the complaints of all files, and about those that
    share an id or a number."""
    read = [(path, _read(path, Campaign)) for path in paths]
    complaints = [complaint for _, each in read for complaint in each.complaints]
    right = [(path, each.value) for path, each in read if each.value is not None]
    origin = [path for path, _ in right]
    complaints += _shared("id", [campaign.id for _, campaign in right], origin)
    complaints += _shared("number", [campaign.number for _, campaign in right], origin)
    if complaints:
        raise ConfigurationWrong(*complaints)
    return [campaign for _, campaign in right]


def _shared(what: str, keys: Sequence[str | int], origin: Sequence[Path]) -> list[str]:
    first: dict[str | int, Path] = {}
    return [
        f"{path}:{_line_of(path, what)}: {what}: is {key!r}, as in {first[key]}; allowed: one that no other campaign has"
        for key, path in zip(keys, origin, strict=True)
        if first.setdefault(key, path) is not path
    ]


def _line_of(path: Path, key: str) -> int:
    """Of a key of a file that was read a moment ago."""
    return lines_of(path.read_text(encoding="utf-8"), [(key,)])[(key,)]


class _Read(NamedTuple, Generic[V]):
    """``value``: None where there are complaints; ``content``: of the file as far as it is YAML."""

    value: V | None
    complaints: tuple[str, ...] = ()
    content: Any = None


def _read(
    path: Path,
    model: type[V],
    *,
    settle: Settle | None = None,
    beside: Callable[[Any], Iterable[Finding]] | None = None,
    also: Callable[[Any], Iterable[Finding]] = lambda content: (),
) -> _Read[V]:
    """``beside``: looks in the content for what the model would say too, were no field wrong in itself; ``also``: for
    what it would not."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as failed:
        return _Read(None, (f"{path}: cannot be read: {failed.strerror}",))
    except UnicodeDecodeError as failed:
        line = failed.object.count(b"\n", 0, failed.start) + 1
        return _Read(None, (f"{path}:{line}: is no UTF-8 text, at byte {failed.start}",))
    try:
        content = content_of(text, settle=settle)
    except NotYaml as broken:
        at = f"{path}:{broken.line}" if broken.line is not None else str(path)
        return _Read(None, (f"{at}: is no YAML: {broken.because}",))
    value: V | None = None
    mistakes: list[Mistake] = []
    try:
        value = model.model_validate(content.value)
    except ValidationError as wrong:
        mistakes = mistakes_of(wrong, beside and beside(content.value))
    mistakes += (Mistake(steps, steps, text) for steps, text in also(content.value))
    if not mistakes and not content.repeated:
        return _Read(value, content=content.value)
    complaints = [
        Complaint(line, ".".join(map(str, steps)), "stands twice; allowed: once")
        for line, steps in content.repeated
    ]
    complaints += with_lines(mistakes, lines_of(text, [mistake.at for mistake in mistakes]).get)
    complaints.sort(key=lambda complaint: complaint.line or 0)
    return _Read(None, tuple(complaint.told(str(path)) for complaint in complaints), content.value)


def _settled(key: object, thing: dict[Any, Any]) -> Any:
    """A branch that is right by itself; whatever is wrong stays as it is, to be told with all the rest."""
    if key != "branches":
        return thing
    try:
        return Branch.model_validate(thing)
    except ValidationError:
        return thing


def _patterns(content: object) -> Iterator[tuple[int, str]]:
    """Those of the inventory's ``campaigns`` that can be looked for."""
    patterns = content.get("campaigns") if isinstance(content, dict) else None
    for number, pattern in enumerate(patterns if isinstance(patterns, list) else ()):
        if isinstance(pattern, str) and pattern:
            yield number, pattern


def _campaign_files(folder: Path, content: object) -> list[Path]:
    """Each file once, in the order of the patterns and then of names."""
    found = (_matches(folder, pattern) or () for _, pattern in _patterns(content))
    return list(dict.fromkeys(path for paths in found for path in paths))


def _also(folder: Path, content: object) -> Iterator[Finding]:
    yield from _no_files(folder, content)
    yield from twice_heard_findings(content)


def _no_files(folder: Path, content: object) -> Iterator[Finding]:
    for number, pattern in _patterns(content):
        if _matches(folder, pattern) is None:
            yield Finding(
                ("campaigns", number),
                "no such file; allowed: paths relative to the inventory, or patterns as campaigns/*.yaml "
                f"(value {pattern!r})",
            )


def _matches(folder: Path, pattern: str) -> list[Path] | None:
    """None for a path where no file is, and for a pattern in a folder that is none; an empty folder may be meant."""
    steps = Path(pattern).parts
    plain = list(takewhile(lambda step: not any(letter in step for letter in "*?["), steps))
    start = folder.joinpath(*plain)
    if len(plain) == len(steps):
        return [start] if start.is_file() else None
    if not start.is_dir():
        return None
    return sorted(path for path in start.glob(str(Path(*steps[len(plain) :]))) if path.is_file())
