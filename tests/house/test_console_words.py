"""The pages have a sentence, in every language, for all that an agent or HQ can say ails it."""

import ast
from pathlib import Path

from cloud_api.adapters.wording import Catalogue
from edge_agent.adapters.wording import Catalogue as StaffCatalogue
from engagement.campaign.model import LANGUAGES
from tests.house.tree import parsed, sources

AGENT_SERVICES = Path("edge_agent/services")
# Told by a banner of its own, with the agents that are waited for.
TOLD_APART = {"fenced"}
HQ_TENDING = Path("cloud_api/services/tending.py")


def agents_codes() -> set[str]:
    """First words of troubles, and of the rows of checks: a code and three more."""
    found = set()
    for path in sources("edge_agent"):
        if path.parent != AGENT_SERVICES:
            continue
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Trouble":
                found |= _texts(node.args[:1])
            elif isinstance(node, ast.Tuple) and len(node.elts) == 4 and path.name == "tending.py":
                found |= _texts(node.elts[:1])
    return found


def hqs_codes() -> set[str]:
    return {
        code
        for node in ast.walk(parsed(HQ_TENDING))
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "found"
        for code in _texts([node.slice])
    }


def _texts(nodes: list[ast.expr]) -> set[str]:
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_what_ails_an_agent_has_a_sentence() -> None:
    codes = agents_codes()
    assert {"radio_lost", "line_down", "rights_diverged"} <= codes, "the sources are written otherwise now"
    for wording in Catalogue.load().wordings:
        assert {code for code in codes if f"issue.{code}" not in wording.texts} == set(), wording.language


def test_what_ails_an_agent_has_a_sentence_for_its_staff() -> None:
    codes = agents_codes()
    for language in LANGUAGES:
        texts = StaffCatalogue.load("staff").wording(language).texts
        assert {code for code in codes if f"issue.{code}" not in texts} == set(), language


def test_what_ails_hq_has_a_sentence_and_a_remedy() -> None:
    codes = hqs_codes() - TOLD_APART
    assert "disk_low" in codes, "the sources are written otherwise now"
    for wording in Catalogue.load().wordings:
        for family in ("hq", "hq_do"):
            missing = {code for code in codes if f"{family}.{code}" not in wording.texts}
            assert missing == set(), wording.language
