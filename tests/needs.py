"""What a test needs of the machine: missing, it is skipped with a line that says so, and fails where all is required."""

import os
import shutil
from pathlib import Path

import pytest

CHROMIUM = Path("/usr/bin/chromium")


def needs(tool: str, available: bool) -> None:
    """Skip the running test when the tool is missing; fail it when BECKON_REQUIRE_ALL=1."""
    if available:
        return
    if os.environ.get("BECKON_REQUIRE_ALL") == "1":
        pytest.fail(f"needs {tool}, and BECKON_REQUIRE_ALL=1 allows no skipping", pytrace=False)
    pytest.skip(f"needs {tool}, which this machine has not")


def needs_root() -> None:
    needs("root", os.geteuid() == 0)


def needs_command(name: str) -> None:
    needs(f"the command {name}", shutil.which(name) is not None)


def needs_chromium() -> None:
    needs(f"Chromium at {CHROMIUM}", CHROMIUM.exists())
