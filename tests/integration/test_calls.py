"""How the programs are called: each explains itself, and a wrong call ends with code 2 and says what was wrong."""

import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.fakes.warm_process import WarmProcess
from tests.house.tree import ROOT

PROGRAMS = {"beckon": "provisioning", "beckon-agent": "edge_agent", "beckon-cloud": "cloud_api"}
_ENDS_WITHIN_S = 60.0


def call(folder: Path, program: str, *words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    output, errors = folder / "output", folder / "errors"
    # Wide, so that no sentence is broken where it is looked for.
    environment = {"COLUMNS": "200", "PATH": "/usr/bin:/bin"}
    process = WarmProcess(program, words, environment=environment, output=output, errors=errors)
    return process.wait(_ENDS_WITHIN_S), output.read_text(), errors.read_text()


@pytest.mark.parametrize(
    ("name", "commands"),
    [
        ("beckon", ("up", "check", "plan", "apply", "enrol", "campaign", "agent", "hq")),
        ("beckon-agent", ("run", "enrol", "replay", "record")),
        ("beckon-cloud", ("run", "backup", "restore", "user")),
    ],
)
def test_help_names_every_command_and_each_explains_itself(
    tmp_path: Path, name: str, commands: tuple[str, ...]
) -> None:
    code, said, complained = call(tmp_path, PROGRAMS[name], "--help")
    assert (code, complained) == (0, "")
    assert all(command in said for command in commands)
    for command in commands:
        folder = tmp_path / command
        folder.mkdir()
        code, said, complained = call(folder, PROGRAMS[name], command, "--help")
        assert (code, complained) == (0, ""), command
        assert f"{name} {command}" in said


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_command_that_there_is_not_is_a_wrong_call(tmp_path: Path, name: str) -> None:
    code, said, complained = call(tmp_path, PROGRAMS[name], "fly")
    assert (code, said) == (2, "")
    assert "fly" in complained
    assert "Traceback" not in complained


def test_each_program_goes_by_its_name_and_by_its_module() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {name: f"{module}.__main__:main" for name, module in PROGRAMS.items()}


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_tells_its_version(tmp_path: Path, name: str) -> None:
    assert call(tmp_path, PROGRAMS[name], "--version") == (0, f"{name} {version('beckon')}\n", "")


def test_beckons_help_is_plain_text_without_types_of_its_language(tmp_path: Path) -> None:
    for command in ([], ["plan"], ["enrol"]):
        _, said, _ = call(tmp_path, PROGRAMS["beckon"], *command, "--help")
        assert said.isascii(), "no frames"
        assert "<bool>" not in said
