"""Rules about the text of the sources that neither ruff nor mypy knows."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.house.tree import ROOT, dotted, files, parsed, sources

LINES_MAX = 400
# Files that may be longer, with the reason; a new entry needs a better reason than a split would.
LONGER: dict[str, str] = {}

# The second is for BECKON_DATA, which BECKON_REQUIRE_ALL does not ask for.
SKIPS_LIVE_IN = (Path("tests/needs.py"), Path("tests/fakes/recordings.py"))
# Words that say nothing by themselves.
_FILLER = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at by for from get gets give gives given in into is it its of on or return returns that the "
        "their then this to with whether which",
    )
)

# Methods of named tuples: public, underscored only to leave the fields their names.
_PUBLIC_ALL_THE_SAME = ("_asdict", "_fields", "_make", "_replace")


def test_no_file_has_grown_long() -> None:
    long = {
        str(path): lines
        for path in files()
        if path.suffix in (".py", ".js", ".css", ".html", ".j2", ".sql")
        and (lines := (ROOT / path).read_text(encoding="utf-8").count("\n")) > LINES_MAX
        and str(path) not in LONGER
    }
    assert long == {}, f"above {LINES_MAX} lines: what second thing does each know?"


def test_docstrings_say_more_than_the_name() -> None:
    repeating = [
        f"{path}:{node.lineno}: {node.name}: {docstring!r} only repeats the name; delete it or say more"
        for path in sources()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and (docstring := ast.get_docstring(node)) is not None
        and "\n" not in docstring
        and _words(docstring) <= _words(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", node.name))
    ]
    assert repeating == []


def _words(text: str) -> set[str]:
    words = re.findall(r"[a-z0-9]+", text.replace("_", " ").lower())
    return {word.removesuffix("s") for word in words if word not in _FILLER}


def test_the_docstring_rule_tells_the_two_apart() -> None:
    assert _words("Returns the branch code.") <= _words("branch_code")
    assert not _words("The branch code as printed on receipts.") <= _words("branch_code")


def test_no_banned_calls() -> None:
    assert [complaint for path in sources() for complaint in _banned_calls(path)] == []


def _banned_calls(path: Path) -> Iterator[str]:
    in_tests, top = path.parts[0] == "tests", path.parts[0]
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.AsyncFunctionDef):
            for call in _calls(node):
                if dotted(call.func) == "time.sleep":
                    yield f"{path}:{call.lineno}: time.sleep stops the loop; await asyncio.sleep, or poll in a test"
        if not isinstance(node, ast.Call):
            continue
        name, where = dotted(node.func), f"{path}:{node.lineno}"
        if (
            name in ("asyncio.create_task", "asyncio.ensure_future")
            and not in_tests
            and path.name != "app.py"
        ):
            yield f"{where}: {name}; tasks belong to the TaskGroup in app.py"
        if name.endswith(("datetime.now", "datetime.utcnow", "date.today")) and top == "engagement":
            yield f"{where}: {name}; the core is given a Moment"
        if name == "print" and not in_tests and not path.stem.endswith(("__main__", "_command")):
            yield f"{where}: print; services answer or log, and commands speak"
        if name in ("suppress", "contextlib.suppress") and any(_is_broad(given) for given in node.args):
            yield f"{where}: suppresses every error; name the ones that are expected"
    yield from _swallowed(path)


def _swallowed(path: Path) -> Iterator[str]:
    for node in ast.walk(parsed(path)):
        if not isinstance(node, ast.ExceptHandler) or not (node.type is None or _is_broad(node.type)):
            continue
        if all(isinstance(line, ast.Pass | ast.Continue) for line in node.body):
            yield f"{path}:{node.lineno}: every error is dropped in silence; record it, or name the expected ones"


def _calls(function: ast.AsyncFunctionDef) -> Iterator[ast.Call]:
    yield from (node for node in ast.walk(function) if isinstance(node, ast.Call))


def _is_broad(node: ast.expr) -> bool:
    return dotted(node) in ("Exception", "BaseException")


def test_tests_are_skipped_only_through_needs() -> None:
    """There the line is written, and BECKON_REQUIRE_ALL is obeyed."""
    skipping = {"pytest.skip", "pytest.importorskip", "pytest.xfail"}
    marks = {"pytest.mark.skip", "pytest.mark.skipif", "pytest.mark.xfail"}
    found = [
        f"{path}:{node.lineno}: {dotted(node)}; call a function of tests/needs.py"
        for path in sources("tests")
        if path not in SKIPS_LIVE_IN
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute) and dotted(node) in skipping | marks
    ]
    assert found == []


def test_tests_do_not_touch_private_names_of_the_product() -> None:
    found = [
        f"{path}:{node.lineno}: {dotted(node) or node.attr}"
        for path in sources("tests")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute)
        and re.match(r"_[a-z]", node.attr)
        and node.attr not in _PUBLIC_ALL_THE_SAME
        and dotted(node.value) not in ("self", "cls")
    ]
    assert found == []


def test_no_address_of_a_package_index_and_no_path_of_this_machine() -> None:
    """Written in parts, so that this file passes its own test."""
    forbidden = re.compile(
        "|".join(
            [
                re.escape("pypi" + ".org"),
                re.escape("pythonhosted" + ".org"),
                re.escape("registry." + "npmjs"),
                r"(?:deb|security)\." + r"debian\.org",
                r"/(?:home|Users)/[a-z][a-z0-9_-]*/",
                re.escape(f"{ROOT}/"),
            ]
        )
    )
    found = [
        f"{path}:{number}: {match[0]}"
        for path in files()
        for number, line in enumerate(
            (ROOT / path).read_text(encoding="utf-8", errors="replace").splitlines(), 1
        )
        if (match := forbidden.search(line))
    ]
    assert found == []
