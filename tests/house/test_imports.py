"""What may be imported where, beyond the layers that import-linter checks."""

import sys
from pathlib import Path

from tests.house.tree import OURS, PROGRAMS, imports, sources

# typing_extensions gives 3.11 the `override` of 3.12; pydantic brings it.
CORE_LIBRARIES = {"pydantic", "pydantic_core", "cryptography", "tzdata", "typing_extensions"}
# Vocabulary rather than an outside thing: settings and values are written in them everywhere.
EVERYWHERE = {"pydantic", "pydantic_settings", "typing_extensions"}


def _library(name: str) -> str | None:
    """The third-party library that a dotted name belongs to; None for ours and the standard library."""
    top = name.partition(".")[0]
    return None if top in OURS or top in sys.stdlib_module_names else top


def test_the_core_uses_only_its_few_libraries() -> None:
    strangers = [
        f"{path}:{line}: {name}"
        for path in sources("engagement")
        for line, name in imports(path)
        if (library := _library(name)) is not None and library not in CORE_LIBRARIES
    ]
    assert strangers == [], f"allowed in engagement: {sorted(CORE_LIBRARIES)}"


def test_services_and_ports_use_no_library() -> None:
    strangers = [
        f"{path}:{line}: {name}; services speak to ports, the library belongs into an adapter"
        for path in sources(*PROGRAMS)
        if "services" in path.parts or path.name == "ports.py"
        for line, name in imports(path)
        if (library := _library(name)) is not None and library not in EVERYWHERE
    ]
    assert strangers == []


def test_each_library_has_one_home_in_a_program() -> None:
    """A module of adapters, or one package of them; ``__main__`` and ``app`` may hold the command line and the loop."""
    homes: dict[tuple[str, str], set[str]] = {}
    for path in sources(*PROGRAMS):
        for _, name in imports(path):
            library = _library(name)
            if library is not None and library not in EVERYWHERE:
                homes.setdefault((path.parts[0], library), set()).add(_home(path))
    scattered = {
        f"{library} in {program}": sorted(places)
        for (program, library), places in homes.items()
        if len(places) > 1 and library not in SEVERAL_HOMES.get(program, {})
    }
    assert scattered == {}


# Libraries that serve as vocabulary of several adapters, each with its reason.
SEVERAL_HOMES: dict[str, dict[str, str]] = {
    "edge_agent": {
        "aiohttp": "guest side, staff side and the line to HQ are apart on purpose; app.py starts and stops them",
        "cryptography": "signing with the agent's keys, and reading the listeners' certificate",
    },
    "cloud_api": {"cryptography": "signing with HQ's key, and reading the listener's certificate"},
}


def _home(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:3])
