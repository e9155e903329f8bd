"""The commands on files, and what a home is given: real files, real certificates, real TLS."""

import json
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import scrypt
from importlib.resources import as_file, files
from pathlib import Path

import pytest

from engagement.campaign.model import Campaign
from engagement.estate.inventory import Inventory
from engagement.ids import TillName
from provisioning.adapters.home import Home
from provisioning.adapters.home_files import make_private_folder, write_private
from provisioning.adapters.yaml_files import read_campaigns, read_inventory
from provisioning.faults import ConfigurationWrong, WorkFailed
from provisioning.services.chain_secrets import CashierSecret, ChainSecrets
from provisioning.services.seeding import (
    CASHIER,
    HQ_USER,
    HomeSecrets,
    HomeState,
    branch_digest,
    chain_secrets,
    home_secrets,
    hq_users,
)
from tests.fakes.local_bundle import local_bundle

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
PORTAL = "harbour.beckon.internal"


@pytest.fixture(scope="module")
def shipped() -> Iterator[Path]:
    with as_file(files("provisioning.shipped")) as folder:
        yield folder


@pytest.fixture(scope="module")
def inventory(shipped: Path) -> Inventory:
    return read_inventory(shipped / "inventory.yaml")


@pytest.fixture(scope="module")
def campaigns(shipped: Path) -> list[Campaign]:
    return read_campaigns(sorted((shipped / "campaigns").glob("*.yaml")))


def beckon(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "provisioning", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
    )


class TestShippedFiles:
    def test_one_campaign_of_each_kind_runs_now_and_for_years(self, campaigns: list[Campaign]) -> None:
        assert sorted(campaign.trigger.on for campaign in campaigns) == ["shake", "welcome", "welcome_back"]
        for campaign in campaigns:
            assert campaign.window.opens_at < NOW < campaign.window.ends_at - timedelta(days=5 * 365)

    def test_the_welcome_coupon_is_usable_at_once_on_a_basket_of_100(self, campaigns: list[Campaign]) -> None:
        welcome = next(campaign for campaign in campaigns if campaign.trigger.on == "welcome")
        assert welcome.window.use_after_minutes == 0
        assert welcome.offer.currency == "CNY"
        assert welcome.offer.min_spend_minor <= 10_000
        assert welcome.offer.discount_minor(10_000) == 2_000

    def test_a_shake_wins_often_and_again_another_day(self, campaigns: list[Campaign]) -> None:
        shake = next(campaign for campaign in campaigns if campaign.trigger.on == "shake")
        assert shake.draw.win_bps >= 2_500
        assert shake.limits.issue > shake.limits.issue_per_day

    def test_10_000_addresses_an_hour_fit_for_half_a_day(self, campaigns: list[Campaign]) -> None:
        for campaign in campaigns:
            assert campaign.budget.units >= 100_000
            assert campaign.budget.units_per_day is None

    def test_all_coupons_have_serials(self, campaigns: list[Campaign]) -> None:
        """A branch has a million serials; more coupons than that would be promised in vain."""
        assert sum(campaign.budget.units for campaign in campaigns) <= 999_999

    def test_the_branch_has_what_the_pages_and_the_radio_show(self, inventory: Inventory) -> None:
        (branch,) = inventory.branches
        roles = [beacon.role for beacon in branch.beacons]
        assert roles.count("zone") >= 3
        assert any(beacon.member for beacon in branch.beacons if beacon.altbeacon)
        assert {receiver.adapter for receiver in branch.agents[0].receivers} == {"hci0", "hci1"}


class TestCommands:
    def test_shipped_campaigns_are_listed_with_their_files(self) -> None:
        done = beckon("campaign", "list", "--shipped")
        rows = [line.split("\t") for line in done.stdout.splitlines()]
        assert (done.returncode, sorted(row[1] for row in rows)) == (0, ["shake", "welcome", "welcome_back"])
        assert beckon("campaign", "check", *(row[0] for row in rows)).returncode == 0

    def test_the_shipped_inventory_is_right(self, shipped: Path) -> None:
        done = beckon("check", shipped / "inventory.yaml")
        assert (done.returncode, done.stderr) == (0, "")

    def test_every_mistake_of_every_campaign_is_told_at_once(self, shipped: Path, tmp_path: Path) -> None:
        text = (shipped / "campaigns" / "shake.yaml").read_text(encoding="utf-8")
        first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
        first.write_text(
            text.replace("win_bps: 5000", "win_bps: 40000").replace("units:", "unit:"), encoding="utf-8"
        )
        second.write_text("version: 1\nid: [\n", encoding="utf-8")
        done = beckon("campaign", "check", first, second)
        lines = done.stderr.splitlines()
        assert (done.returncode, done.stdout) == (2, "")
        for line_number, field in (
            (_line_of(first, "win_bps"), "draw.win_bps"),
            (_line_of(first, "unit:"), "budget.unit"),
            (_line_of(first, "budget:"), "budget.units"),
        ):
            assert any(line.startswith(f"{first}:{line_number}: {field}: ") for line in lines), (field, lines)
        assert any(line.startswith(f"{second}:") and "is no YAML" in line for line in lines), lines

    def test_two_campaigns_cannot_share_a_number(self, shipped: Path, tmp_path: Path) -> None:
        original = shipped / "campaigns" / "shake.yaml"
        other = tmp_path / "other.yaml"
        other.write_text(
            original.read_text(encoding="utf-8").replace("id: shake", "id: rattle"), encoding="utf-8"
        )
        done = beckon("campaign", "check", original, other)
        assert done.returncode == 2
        assert done.stderr.startswith(f"{other}:4: number: is 2, as in {original}")

    def test_mistakes_of_an_inventory_are_told_with_their_lines(self, shipped: Path, tmp_path: Path) -> None:
        path = tmp_path / "inventory.yaml"
        text = (shipped / "inventory.yaml").read_text(encoding="utf-8")
        path.write_text(
            text.replace("Asia/Shanghai", "Asia/Shanghigh").replace(
                "major: 1, minor: 1", "major: 70000, minor: 1"
            ),
            encoding="utf-8",
        )
        done = beckon("check", path)
        assert done.returncode == 2
        assert f"{path}:{_line_of(path, 'time_zone')}: branches.0.time_zone: " in done.stderr
        assert f"{path}:{_line_of(path, '70000')}: branches.0.beacons.0.ibeacon.major: " in done.stderr

    def test_a_file_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        done = beckon("check", tmp_path / "none.yaml")
        assert (done.returncode, str(tmp_path / "none.yaml") in done.stderr) == (2, True)

    @pytest.mark.parametrize(
        "arguments", [("campaign", "check"), ("campaign", "stop"), ("apply",), ("chekc",), ("up", "--fast")]
    )
    def test_a_wrong_call_ends_with_code_2(self, arguments: tuple[str, ...]) -> None:
        done = beckon(*arguments)
        assert done.returncode == 2
        assert done.stderr

    def test_help_names_every_command(self) -> None:
        done = beckon("--help")
        assert done.returncode == 0
        assert all(command in done.stdout for command in ("up", "campaign", "check", "plan", "apply"))


def _line_of(path: Path, text: str) -> int:
    lines = path.read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


class TestSecrets:
    def test_everybody_gets_one_and_keeps_it(self, inventory: Inventory) -> None:
        known = chain_secrets(ChainSecrets(), HomeSecrets(), inventory)
        (branch,) = inventory.branches
        more = branch.model_copy(
            update={"tills": (*branch.tills, branch.tills[0].model_copy(update={"name": "t2"}))}
        )
        after = chain_secrets(known, HomeSecrets(), inventory.model_copy(update={"branches": (more,)}))
        before = known.of(branch.code)
        tokens = dict(after.of(branch.code).till_tokens)
        assert tokens.pop(TillName("t2")) not in before.till_tokens.values()
        assert (tokens, after.of(branch.code).cashiers) == (before.till_tokens, before.cashiers)
        assert set(known.member_codes) == {member.id for member in inventory.members}
        assert after.member_codes == known.member_codes

    def test_no_two_homes_have_one_in_common(self, inventory: Inventory) -> None:
        one, other = (chain_secrets(ChainSecrets(), HomeSecrets(), inventory) for _ in range(2))
        (code,) = (branch.code for branch in inventory.branches)
        for till, token in one.of(code).till_tokens.items():
            assert token != other.of(code).till_tokens[till]
        assert one.of(code).cashiers[CASHIER] != other.of(code).cashiers[CASHIER]
        assert not set(one.member_codes.values()) & set(other.member_codes.values())
        first, second = home_secrets(HomeSecrets()), home_secrets(HomeSecrets())
        assert first.hq_password != second.hq_password

    def test_those_of_the_first_version_stay(self, inventory: Inventory) -> None:
        (branch,) = inventory.branches
        till, member = branch.tills[0].name, inventory.members[0].id
        old = HomeSecrets(
            hq_password="word",
            hq_salt="5a",
            till_tokens={till: "token"},
            cashier_pin="123456",
            cashier_salt="a5" * 16,
            member_codes={member: "CODE"},
        )
        known = chain_secrets(ChainSecrets(), old, inventory)
        assert known.of(branch.code).till_tokens[till] == "token"
        assert known.of(branch.code).cashiers[CASHIER] == CashierSecret(pin="123456", salt="a5" * 16)
        assert known.member_codes[member] == "CODE"
        assert home_secrets(old) == HomeSecrets(hq_password="word", hq_salt="5a")
        # Once moved, what the chain's file says counts.
        other = known.model_copy(update={"member_codes": {member: "OTHER"}})
        assert chain_secrets(other, old, inventory).member_codes[member] == "OTHER"

    def test_the_operators_password_is_kept_by_its_hash(self) -> None:
        known = home_secrets(HomeSecrets())
        (user,) = hq_users(known)["users"]
        assert known.hq_password not in json.dumps(user)
        salt = bytes.fromhex(user["salt"])
        hashed = scrypt(known.hq_password.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32)
        assert (user["name"], user["password_scrypt"]) == (HQ_USER, hashed.hex())
        assert home_secrets(known) == known


class TestHome:
    def test_an_owners_campaign_survives_and_a_removed_one_stays_removed(self, tmp_path: Path) -> None:
        home = Home(tmp_path / "home")
        home.make_folders()
        home.seed_files()
        (home.campaigns_folder / "shake.yaml").unlink()
        (home.campaigns_folder / "welcome.yaml").write_text("mine")
        home.seed_files()
        assert [path.name for path in home.campaign_files()] == ["welcome.yaml", "welcome_back.yaml"]
        assert (home.campaigns_folder / "welcome.yaml").read_text() == "mine"

    def test_all_of_it_is_private(self, tmp_path: Path) -> None:
        home = Home(tmp_path / "home")
        home.make_folders()
        home.seed_files()
        home.ensure_certificates(PORTAL)
        home.write_secrets(HomeSecrets(hq_password="word"))
        home.secrets.write(ChainSecrets())
        for path in (home.folder, *home.folder.rglob("*")):
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path

    def test_a_damaged_file_is_named(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        home.state_file.write_text(json.dumps({"version": 1}))
        with pytest.raises(WorkFailed, match=r"state\.json is damaged"):
            home.read_state()

    def test_a_file_in_the_place_of_the_home_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(ConfigurationWrong, match="is not a folder"):
            make_private_folder(tmp_path / "file")

    def test_a_cut_short_write_leaves_the_old_file(self, tmp_path: Path) -> None:
        path = tmp_path / "kept.json"
        write_private(path, b"old")
        (tmp_path / ".kept.json.new").write_bytes(b"half of the n")
        assert path.read_bytes() == b"old"
        write_private(path, b"new")
        assert [found.name for found in tmp_path.iterdir()] == ["kept.json"]

    def test_the_first_versions_home_is_known_by_its_bundle(
        self, tmp_path: Path, inventory: Inventory, campaigns: list[Campaign]
    ) -> None:
        home, (branch,) = Home(tmp_path), inventory.branches
        home.make_folders()
        assert home.read_state() is None
        bundle = local_bundle(inventory, campaigns, chain_secrets(ChainSecrets(), HomeSecrets(), inventory))
        for name, text in (("bundle.json", bundle.model_dump_json()), ("estate.json", "{}")):
            (tmp_path / name).write_text(text)
        state = home.read_state()
        assert state == HomeState(
            branch=branch.code, agent=branch.agents[0].name, recording=branch_digest(branch)
        )
        home.write_state(state)
        assert home.read_state() == state
        assert not (tmp_path / "bundle.json").exists()
        assert not (tmp_path / "estate.json").exists()
