"""The inventory file, read with its line numbers."""

from pathlib import Path

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from edge_agent.faults import ConfigurationWrong
from engagement.estate.complaint import complaints_of
from engagement.estate.inventory import Inventory


def read_inventory(path: Path) -> Inventory:
    """Errors: ConfigurationWrong with every mistake and its line."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as failed:
        raise ConfigurationWrong(f"{path}: cannot be read: {failed.strerror}") from failed
    except UnicodeDecodeError as failed:
        raise ConfigurationWrong(
            f"{path}: is no UTF-8 text: byte {failed.start} is 0x{failed.object[failed.start]:02x}"
        ) from None
    yaml = YAML(typ="safe", pure=True)
    try:
        content, tree = yaml.load(text), yaml.compose(text)
    except MarkedYAMLError as broken:
        line = broken.problem_mark.line + 1 if broken.problem_mark else 1
        raise ConfigurationWrong(f"{path}:{line}: is no YAML: {broken.problem}") from broken
    except (YAMLError, RecursionError, ValueError) as broken:
        # ValueError: a date that the calendar does not have.
        raise ConfigurationWrong(f"{path}: is no YAML: {broken}") from broken
    try:
        return Inventory.model_validate(content)
    except ValidationError as wrong:
        complaints = complaints_of(wrong, lambda steps: _line_of(tree, steps))
        raise ConfigurationWrong(*(complaint.told(str(path)) for complaint in complaints)) from None


def _line_of(tree: Node | None, steps: tuple[str | int, ...]) -> int:
    """Where the deepest of these steps that the file has begins."""
    node, line = tree, 1
    for step in steps:
        if isinstance(node, MappingNode):
            entry = next((entry for entry in node.value if entry[0].value == step), None)
            if entry is None:
                break
            line, node = entry[0].start_mark.line + 1, entry[1]
        elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
    return line
