"""What docs/hq.md tells people to write is right, and what it tells them to call is there."""

import re
from pathlib import Path

from provisioning.adapters.yaml_files import read_chain
from tests.house.tree import ROOT

_PAGE = (ROOT / "docs" / "hq.md").read_text(encoding="utf-8")
_UNITS = ROOT / "deploy" / "systemd"


def test_the_inventory_and_the_campaign_are_right(tmp_path: Path) -> None:
    inventory, campaign = re.findall(r"```yaml\n(.*?)```", _PAGE, re.DOTALL)
    (tmp_path / "campaigns").mkdir()
    (tmp_path / "campaigns" / "autumn.yaml").write_text(campaign, encoding="utf-8")
    (tmp_path / "inventory.yaml").write_text(inventory, encoding="utf-8")
    written = read_chain(tmp_path / "inventory.yaml")
    assert [branch.code for branch in written.inventory.branches] == ["NORTH"]
    assert len(written.campaign_files) == 1


def test_the_paths_of_the_page_are_those_of_the_units() -> None:
    units = "".join(path.read_text(encoding="utf-8") for path in sorted(_UNITS.iterdir()))
    named = set(re.findall(r"/(?:etc/beckon|var/lib)/[\w.-]+", _PAGE))
    assert named
    assert {path for path in named if path.rstrip(".") not in units} == set()


def test_the_programs_of_the_page_have_these_commands() -> None:
    """As their own help lists them."""
    called = set(re.findall(r"\b(beckon(?:-agent|-cloud)?) ([a-z]+)\b", _PAGE))
    main = {
        "beckon": ROOT / "provisioning" / "__main__.py",
        "beckon-agent": ROOT / "edge_agent" / "__main__.py",
        "beckon-cloud": ROOT / "cloud_api" / "__main__.py",
    }
    besides = {
        "beckon-agent": ("edge_agent/enrol_command.py",),
        "beckon-cloud": ("cloud_api/user_command.py",),
    }
    assert called
    for program, command in sorted(called):
        paths = (main[program], *(ROOT / path for path in besides.get(program, ())))
        text = "".join(path.read_text(encoding="utf-8") for path in paths)
        assert f'"{command}"' in text or f"def {command}(" in text, f"{program} {command}"
