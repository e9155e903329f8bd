"""What is wrong with a file that people wrote, one line per mistake: where, which field, what, and the value.

Reading the file is left to an adapter, which knows at which line a path stands.
"""

from collections.abc import Callable
from typing import NamedTuple

from pydantic import ValidationError

# Steps from the top of the file: keys of mappings and numbers of list entries.
Path = tuple[str | int, ...]
_SHOWN_CHARS_MAX = 60


class Complaint(NamedTuple):
    """``line``: None when the file has none to point at; ``field`` as in ``branches.0.zones.2.name``."""

    line: int | None
    field: str
    text: str

    def told(self, file: str) -> str:
        """``file:line: field: what is wrong (value ...)``."""
        at = f"{file}:{self.line}" if self.line is not None else file
        return f"{at}: {self.field}: {self.text}"


def complaints_of(error: ValidationError, line_of: Callable[[Path], int | None]) -> list[Complaint]:
    """All mistakes in order of their lines; a missing field is said at the line of what it is missing from."""
    complaints: list[Complaint] = []
    for detail in error.errors(include_url=False):
        path = detail["loc"]
        is_missing = detail["type"] == "missing"
        line = line_of(path[:-1] if is_missing else path)
        field = ".".join(map(str, path)) or "file"
        value = "" if is_missing or _is_structure(detail["input"]) else f" (value {_shown(detail['input'])})"
        # A rule about the whole of a thing tells all its findings at once.
        for text in _plain(detail["msg"]).split("; "):
            complaints.append(Complaint(line, field, text + value))
    return sorted(complaints, key=lambda complaint: complaint.line or 0)


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ")


def _is_structure(value: object) -> bool:
    # A whole mapping says nothing that its line does not say better.
    return not isinstance(value, str | int | float | None)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS_MAX else text[:_SHOWN_CHARS_MAX] + "..."
