"""What does not fit together in something that people wrote, each at its own place."""

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

# Steps from the top of a thing: keys of mappings and numbers of list entries.
Path: TypeAlias = tuple[str | int, ...]


class Finding(NamedTuple):
    """``path``: from the thing that was judged to what does not fit."""

    path: Path
    text: str


class Unfit(ValueError):
    """What the rules found; raised by validators of models, and told finding by finding by whoever names lines."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("; ".join(finding.text for finding in self.findings))
