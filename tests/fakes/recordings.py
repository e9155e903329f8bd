"""Recorded data that lies beside the checkout, where it is there."""

import os
from pathlib import Path

import pytest

_DEFAULT = Path(__file__).parents[2] / ".." / "shared" / "data"


def recorded(name: str) -> Path:
    """A file or folder of the recordings; skips the test that asks, with a line, where it is missing."""
    path = Path(os.environ.get("BECKON_DATA") or _DEFAULT) / name
    if not path.exists():
        pytest.skip(f"no recording {name} (BECKON_DATA names the folder of recordings)")
    return path
