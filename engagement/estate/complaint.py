"""What is wrong with a file that people wrote, one line per mistake: where, which field, what, and the value.

Reading the file is left to an adapter, which knows at which line a path stands.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from pydantic import ValidationError

from engagement.estate.allowed import said_of
from engagement.finding import Finding, Path, Unfit


class Complaint(NamedTuple):
    """``line``: None when the file has none to point at; ``field`` as in ``branches.0.zones.2.name``."""

    line: int | None
    field: str
    text: str

    def told(self, file: str) -> str:
        """``file:line: field: what is wrong (value ...)``."""
        at = f"{file}:{self.line}" if self.line is not None else file
        return f"{at}: {self.field}: {self.text}"


class Mistake(NamedTuple):
    """``at``: the path whose line is to be told; ``path``: of the field itself."""

    at: Path
    path: Path
    text: str


def mistakes_of(error: ValidationError, beside: Iterable[Finding] | None = None) -> list[Mistake]:
    """A missing field is said at what it is missing from.

    ``beside``: what a look at the whole file found not to fit together, where that was asked for: models stop looking
    once a field is wrong.
    """
    mistakes: list[Mistake] = []
    for detail in error.errors(include_url=False):
        path = detail["loc"]
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, Unfit):
            if beside is None:
                mistakes += (_unfit(path, finding) for finding in cause.findings)
            continue
        # What is missing is nowhere; it is told at what lacks it.
        at = path[:-1] if detail["type"] == "missing" else path
        mistakes.append(Mistake(at, path, said_of(detail)))
    mistakes += (_unfit((), finding) for finding in beside or ())
    return mistakes


def _unfit(path: Path, finding: Finding) -> Mistake:
    return Mistake((*path, *finding.path), (*path, *finding.path), finding.text)


def complaints_of(error: ValidationError, line_of: Callable[[Path], int | None]) -> list[Complaint]:
    """All mistakes in order of their lines."""
    return with_lines(mistakes_of(error), line_of)


def with_lines(mistakes: Iterable[Mistake], line_of: Callable[[Path], int | None]) -> list[Complaint]:
    """In order of their lines."""
    complaints = [
        Complaint(line_of(at), ".".join(map(str, path)) or "file", text) for at, path, text in mistakes
    ]
    return sorted(complaints, key=lambda complaint: complaint.line or 0)
