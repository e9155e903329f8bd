"""What the documents promise to list is listed, and what they list is there."""

import re
from pathlib import Path

from engagement.refusal.reason import Reason
from tests.house.configuration_page import PAGE, page
from tests.house.tree import ROOT, files


def test_every_setting_is_documented() -> None:
    remedy = "run python -m tests.house.configuration_page"
    assert PAGE.exists(), remedy
    assert PAGE.read_text(encoding="utf-8") == page(), remedy


def test_every_reason_is_in_the_contract() -> None:
    contract = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")
    missing = [reason.value for reason in Reason if f"`{reason.value}`" not in contract]
    assert missing == []


def test_what_the_tree_lists_is_there() -> None:
    missing = [str(path) for path in _drawn_tree() if not (ROOT / path).exists()]
    assert missing == [], "drawn in ARCHITECTURE.md"


def test_the_tree_lists_every_folder_of_the_product() -> None:
    """The top level wholly, and the folders inside the programs and the core."""
    drawn = set(_drawn_tree())
    parents = {parent for path in files() for parent in path.parents if parent != Path()}
    wanted = {
        folder
        for folder in parents
        if not folder.parts[0].startswith(".")
        and (len(folder.parts) == 1 or (len(folder.parts) == 2 and folder.parts[0] not in ("tests", "docs")))
    }
    assert sorted(map(str, wanted - drawn)) == [], "not drawn in ARCHITECTURE.md"


def _drawn_tree() -> list[Path]:
    """Paths of the fenced block that draws the tree: one name a line, two spaces of indentation a level.

    A line's further names, as in ``refusal/  reasons and sentences;  money.py  ids.py``, are not read.
    """
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    block = next(
        found for found in re.findall(r"```\w*\n(.*?)```", text, re.DOTALL) if "engagement/" in found
    )
    stack: list[str] = []
    paths: list[Path] = []
    for line in block.splitlines():
        match = re.match(r"( *)([\w.-]+/?)(?:\s|$)", line)
        if match and ("/" in match[2] or "." in match[2]):
            depth = len(match[1]) // 2
            stack[depth:] = [match[2].rstrip("/")]
            paths.append(Path(*stack))
    assert paths, "ARCHITECTURE.md draws no tree"
    return paths
