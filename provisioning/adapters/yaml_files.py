"""Inventories and campaigns from YAML files, every mistake with its file and line, all at once."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from engagement.campaign.model import Campaign
from engagement.estate.complaint import complaints_of
from engagement.estate.inventory import Inventory
from engagement.values import Value
from provisioning.faults import ConfigurationWrong

V = TypeVar("V", bound=Value)


def read_inventory(path: Path) -> Inventory:
    """Errors: ConfigurationWrong."""
    return _read(path, Inventory)


def read_campaigns(paths: Sequence[Path]) -> list[Campaign]:
    """In the order of the paths. Errors: ConfigurationWrong with the complaints of all files, and about those that
    share an id or a number."""
    campaigns: list[Campaign] = []
    complaints: list[str] = []
    origin: list[Path] = []
    for path in paths:
        try:
            campaigns.append(_read(path, Campaign))
        except ConfigurationWrong as wrong:
            complaints += wrong.complaints
        else:
            origin.append(path)
    complaints += _shared("id", [campaign.id for campaign in campaigns], origin)
    complaints += _shared("number", [campaign.number for campaign in campaigns], origin)
    if complaints:
        raise ConfigurationWrong(*complaints)
    return campaigns


def _shared(what: str, keys: Sequence[str | int], origin: Sequence[Path]) -> list[str]:
    first: dict[str | int, Path] = {}
    return [
        f"{path}: {what} is {key!r}, as in {first[key]}; allowed: one that no other campaign has"
        for key, path in zip(keys, origin, strict=True)
        if first.setdefault(key, path) is not path
    ]


def _read(path: Path, model: type[V]) -> V:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as failed:
        raise ConfigurationWrong(f"{path}: cannot be read: {failed.strerror}") from failed
    except UnicodeDecodeError as failed:
        raise ConfigurationWrong(f"{path}: is no UTF-8 text, at byte {failed.start}") from failed
    try:
        yaml = YAML(typ="safe", pure=True)
        content, tree = yaml.load(text), yaml.compose(text)
    except MarkedYAMLError as broken:
        line = broken.problem_mark.line + 1 if broken.problem_mark else 1
        raise ConfigurationWrong(f"{path}:{line}: is no YAML: {broken.problem}") from broken
    except (YAMLError, RecursionError) as broken:
        raise ConfigurationWrong(f"{path}: is no YAML: {broken}") from broken
    try:
        return model.model_validate(content)
    except ValidationError as wrong:
        complaints = complaints_of(wrong, lambda steps: _line(tree, steps))
        raise ConfigurationWrong(*(complaint.told(str(path)) for complaint in complaints)) from wrong


def _line(tree: Node | None, steps: tuple[int | str, ...]) -> int:
    """Where the deepest of these steps that the file has begins."""
    node, line = tree, 1
    for step in steps:
        if isinstance(node, MappingNode):
            found = next((pair for pair in node.value if pair[0].value == step), None)
            if found is None:
                break
            key, node = found
            line = key.start_mark.line + 1
        elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
        else:
            break
    return line
