"""Real files with every sort of mistake: all are told at once, each with its line."""

import re
from importlib.resources import as_file, files
from pathlib import Path
from shutil import copytree

import pytest

from provisioning.adapters.yaml_files import read_chain
from provisioning.faults import ConfigurationWrong

FORTY = Path(__file__).parent / "data" / "forty_mistakes.yaml"

CHAIN = """\
version: 1
campaigns: [first.yaml, second.yaml]
branches:
  - {name: A, code: A, time_zone: UTC, languages: [en], currency: EUR, agents: [{name: box}]}
"""


def complaints(path: Path) -> list[str]:
    with pytest.raises(ConfigurationWrong) as refused:
        read_chain(path)
    return list(refused.value.complaints)


def lines(path: Path, told: list[str]) -> list[int]:
    return [int(match[1]) for text in told if (match := re.match(rf"{re.escape(str(path))}:(\d+): ", text))]


class TestMistakes:
    def test_forty_mistakes_are_forty_complaints_each_at_its_line(self) -> None:
        """The file marks its mistakes: ``# 14 uuid; 15 major``."""
        marked = [
            number
            for number, line in enumerate(FORTY.read_text(encoding="utf-8").splitlines(), 1)
            for _ in re.findall(r"\b\d+ (?=[a-z1])", line.partition(" # ")[2])
        ]
        told = complaints(FORTY)
        assert len(told) == len(marked) == 40
        # Three are told at the beginning of the thing that lacks something, or is the second of its kind.
        assert sum(line in marked for line in lines(FORTY, told)) >= 30
        assert lines(FORTY, told) == sorted(lines(FORTY, told))

    def test_what_does_not_fit_is_told_with_the_same_words_when_nothing_else_is_wrong(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "chain.yaml"
        path.write_text(
            CHAIN.replace("campaigns: [first.yaml, second.yaml]\n", "")
            + CHAIN.splitlines()[3].replace("code: A", "code: B")
        )
        assert complaints(path) == [
            f"{path}:4: branches.1.agents.0.name: agent 'box' is also an agent of branch 'A'"
        ]

    def test_one_adapter_is_one_receiver(self, tmp_path: Path) -> None:
        """Told beside other mistakes and without them, but not asked of what HQ and stores keep from before."""
        path = tmp_path / "chain.yaml"
        branch = (
            "  - {name: A, code: A, time_zone: UTC, languages: [en], currency: EUR, zones: [a, b],\n"
            "     agents: [{name: box, receivers: [{adapter: hci0, zone: a},\n"
            "       {adapter: hci0, zone: b}]}]}\n"
        )
        path.write_text(f"version: 1\nbranches:\n{branch}")
        twice = (
            f"{path}:5: branches.0.agents.0.receivers.1.adapter: adapter 'hci0' of agent 'box' is named twice; "
            "allowed: one receiver for each"
        )
        assert complaints(path) == [twice]
        path.write_text(f"version: 1\nbranches:\n{branch.replace('EUR', 'euro')}")
        assert [lines(path, complaints(path)), complaints(path)[-1]] == [[3, 5], twice]

    def test_mistakes_of_the_inventory_and_of_its_campaigns_come_together(self, tmp_path: Path) -> None:
        path = tmp_path / "chain.yaml"
        path.write_text(CHAIN.replace("EUR", "euro"))
        (tmp_path / "first.yaml").write_text("version: 1\nid: [\n")
        (tmp_path / "second.yaml").write_text("version: 1\n")
        told = complaints(path)
        assert [line for line in lines(path, told)] == [4]
        assert any(text.startswith(f"{tmp_path / 'first.yaml'}:3: is no YAML") for text in told)
        assert any(text.startswith(f"{tmp_path / 'second.yaml'}:1: id: ") for text in told)

    def test_a_pattern_without_a_file_is_told_at_its_line(self, tmp_path: Path) -> None:
        path = tmp_path / "chain.yaml"
        path.write_text(CHAIN)
        told = complaints(path)
        assert [
            text.startswith(f"{path}:2: campaigns.{number}: no such file") for number, text in enumerate(told)
        ] == [True] * 2


class TestCampaignFiles:
    def test_patterns_and_paths_name_each_file_once(self, tmp_path: Path) -> None:
        with as_file(files("provisioning.shipped")) as shipped:
            copytree(shipped, tmp_path / "chain")
        path = tmp_path / "chain" / "inventory.yaml"
        text = path.read_text(encoding="utf-8")
        named = "campaigns: [campaigns/welcome.yaml, campaigns/*.yaml, 'camp*/[a-s]*.yaml']"
        path.write_text(text.replace("campaigns: [campaigns/*.yaml]", named), encoding="utf-8")
        written = read_chain(path)
        assert [file.name for file in written.campaign_files] == [
            "welcome.yaml",
            "shake.yaml",
            "welcome_back.yaml",
        ]
        assert [campaign.id for campaign in written.campaigns or ()] == ["welcome", "shake", "welcome_back"]

    def test_an_empty_folder_is_no_mistake_and_no_key_leaves_campaigns_alone(self, tmp_path: Path) -> None:
        (tmp_path / "none").mkdir()
        path = tmp_path / "chain.yaml"
        path.write_text(CHAIN.replace("[first.yaml, second.yaml]", "[none/*.yaml]"))
        assert read_chain(path).campaigns == ()
        path.write_text(CHAIN.replace("campaigns: [first.yaml, second.yaml]\n", ""))
        assert read_chain(path).campaigns is None


class TestYaml:
    @pytest.mark.parametrize(
        ("text", "because"),
        [
            ("version: [\n", "is no YAML"),
            ("version: 1\n---\nversion: 1\n", ":2: is no YAML: a second document"),
            ("branches: " + "[" * 60, "nested more than 50 deep"),
            ("? [a]\n: 1\n", "stands for a key"),
            ("branches: !mine []\n", "a tag is not understood"),
            ("branches: *gone\n", "stands for nothing yet"),
            ("<<: 3\n", "only mappings can be merged"),
            ("a: 1\nversion: \x00\n", ":2: is no YAML: the character U+0000 stands there"),
            ("a:\n\tb: 1\n", ":2: is no YAML: a tab stands where only spaces may"),
            ("", ":1: file: is empty; allowed: a mapping of fields"),
        ],
    )
    def test_what_is_no_inventory_at_all_is_said(self, tmp_path: Path, text: str, because: str) -> None:
        path = tmp_path / "chain.yaml"
        path.write_text(text)
        assert any(because in told for told in complaints(path))

    def test_anchors_and_merge_keys_mean_what_they_mean(self, tmp_path: Path) -> None:
        path = tmp_path / "chain.yaml"
        path.write_text(
            "version: 1\nbranches:\n"
            "  - &a {name: A, code: A, time_zone: UTC, languages: &l [en, zh-Hans], currency: EUR}\n"
            "  - {name: B, <<: *a, code: B, languages: *l, tills: [on, '1', 2026-13-45]}\n"
        )
        first, second = read_chain(path).inventory.branches
        assert (second.name, second.code, second.currency) == ("B", "B", "EUR")
        assert first.languages == second.languages == ("en", "zh-Hans")
        assert [till.name for till in second.tills] == ["on", "1", "2026-13-45"]

    def test_a_key_that_stands_twice_is_told_beside_other_mistakes(self, tmp_path: Path) -> None:
        path = tmp_path / "chain.yaml"
        path.write_text("version: 2\nversion: 1\nbranches: []\n")
        assert lines(path, complaints(path)) == [1, 2, 3]
