"""A stop that comes while a program still loads its modules: heard wherever it falls, and no failure."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.cloud_process import CloudHome
from tests.house.tree import ROOT

# Tells itself to stop where an exception goes nowhere: in what C calls back, as happens all over a module's loading.
_TOLD_WHILE_LOADING = """
import runpy, signal, sys
from importlib.abc import MetaPathFinder

class Gone:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)

class Finder(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == told_at:
            Gone()

_, told_at, *sys.argv = sys.argv
sys.meta_path.insert(0, Finder())
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def told_to_stop(home: Path, at: str, *words: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-c", _TOLD_WHILE_LOADING, at, *words],
        cwd=ROOT,
        env={**os.environ, "BECKON_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ("edge_agent.config", ("edge_agent", "run", "--config", "agent.toml")),
        ("provisioning.app", ("provisioning", "up")),
    ],
    ids=["agent", "up"],
)
def test_a_program_that_is_told_to_stop_while_it_loads_stops(
    tmp_path: Path, at: str, words: tuple[str, ...]
) -> None:
    assert told_to_stop(tmp_path, at, *words) == (0, "", "")


def test_a_cloud_that_is_told_to_stop_while_it_loads_stops(tmp_path: Path) -> None:
    config = CloudHome(tmp_path).command[-1]
    assert told_to_stop(tmp_path, "cloud_api.app", "cloud_api", "run", "--config", config) == (0, "", "")
