"""The bundle files: one that people laid beside a store without HQ, and HQ's own, kept sealed as it came."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from edge_agent.adapters.kept_twice import KeptDamaged, keep_twice, read_kept
from edge_agent.services.reporting import BundleKeeping
from engagement.estate.bundle import Bundle
from engagement.estate.complaint import complaints_of
from engagement.estate.receiving import BundleUnfit

T = TypeVar("T")


class BundleRefused(Exception):
    """The bundle cannot be used; one line per problem, each naming the field, its value and what is allowed."""


def read_bundle(path: Path) -> Bundle:
    """Errors: BundleRefused."""
    try:
        return Bundle.model_validate_json(path.read_bytes())
    except OSError as failure:
        raise BundleRefused(f"bundle: cannot read {path}: {failure.strerror}") from failure
    except ValidationError as invalid:
        complaints = complaints_of(invalid, lambda of_path: None)
        raise BundleRefused(
            "\n".join(complaint.told(f"bundle {path}") for complaint in complaints)
        ) from invalid


class SealedBundleFile(BundleKeeping):
    """``path``: in the agent's home."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, read: Callable[[str], T]) -> T | None:
        try:
            return read_kept(self._path, lambda content: read(content.decode()))
        except KeptDamaged as damaged:
            raise BundleUnfit(f"it cannot be read ({damaged.__cause__})") from damaged

    async def save(self, text: str) -> None:
        """In a thread: a slow disk takes long for a megabyte, and tills wait for the loop."""
        await asyncio.to_thread(keep_twice, self._path, text.encode())
