"""The files of this repository, as the house tests read them."""

import ast
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("edge_agent", "cloud_api", "provisioning")
OURS = ("engagement", *PROGRAMS, "tests")


@cache
def files() -> tuple[Path, ...]:
    """All files that are in git or would be added to it, relative to the root."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return tuple(
        sorted(path for name in listing.split("\0") if name and (ROOT / (path := Path(name))).is_file())
    )


def sources(*folders: str) -> list[Path]:
    """Python files below the folders; below all of ours where none is named."""
    return [path for path in files() if path.suffix == ".py" and path.parts[0] in (folders or OURS)]


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), str(path))


def dotted(node: ast.expr) -> str:
    """``a.b.c`` of an expression made of names and attributes; empty for any other."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (owner := dotted(node.value)):
        return f"{owner}.{node.attr}"
    return ""


def imports(path: Path) -> list[tuple[int, str]]:
    """Line and dotted name of every module, or name in a module, that the file imports."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found
