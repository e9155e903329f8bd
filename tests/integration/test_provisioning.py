"""The commands on files, and what a home is given: real files, real certificates, real TLS."""

import json
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import scrypt, sha256
from importlib.resources import as_file, files
from pathlib import Path

import pytest

from engagement.campaign.model import Campaign
from engagement.estate.bundle import Bundle
from engagement.estate.inventory import Inventory
from engagement.visitor.visitor import normal_member_code
from provisioning.adapters.home import Home
from provisioning.adapters.home_files import make_private_folder, write_private
from provisioning.adapters.yaml_files import read_campaigns, read_inventory
from provisioning.faults import ConfigurationWrong, WorkFailed
from provisioning.services.seeding import (
    HQ_USER,
    HomeSecrets,
    complete_secrets,
    hq_users,
    make_bundle,
    make_chain,
    member_ids,
)

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
        assert done.stderr.startswith(f"{other}: number is 2, as in {original}")

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


class TestBundle:
    def test_it_holds_hashes_and_no_secret(self, inventory: Inventory, campaigns: list[Campaign]) -> None:
        known = complete_secrets(HomeSecrets(), inventory.branches[0], member_ids(inventory))
        bundle = make_bundle(inventory, campaigns, known, None)
        text = bundle.model_dump_json()
        for secret in (*known.till_tokens.values(), *known.member_codes.values(), f'"{known.cashier_pin}"'):
            assert secret not in text
        token, (code, *_) = known.till_tokens[bundle.tills[0].name], known.member_codes.values()
        assert bundle.tills[0].token_sha256 == sha256(token.encode()).hexdigest()
        assert bundle.members[0].code_sha256 == sha256(normal_member_code(code.lower()).encode()).hexdigest()
        (cashier,) = bundle.cashiers
        pin = scrypt(
            known.cashier_pin.encode(), salt=bytes.fromhex(cashier.salt), n=2**14, r=8, p=1, dklen=32
        )
        assert cashier.pin_scrypt == pin.hex()

    def test_its_sequence_rises_only_with_a_change(
        self, inventory: Inventory, campaigns: list[Campaign]
    ) -> None:
        known = complete_secrets(HomeSecrets(), inventory.branches[0], member_ids(inventory))
        first = make_bundle(inventory, campaigns, known, None)
        assert make_bundle(inventory, campaigns, known, first) == first
        assert make_bundle(inventory, campaigns[:2], known, first).sequence == first.sequence + 1

    def test_terms_do_not_change_within_an_edition(
        self, inventory: Inventory, campaigns: list[Campaign]
    ) -> None:
        known = complete_secrets(HomeSecrets(), inventory.branches[0], member_ids(inventory))
        first = make_bundle(inventory, campaigns, known, None)
        longer = campaigns[0].window.model_copy(update={"use_days": 60})
        changed = campaigns[0].model_copy(update={"window": longer})
        with pytest.raises(ConfigurationWrong, match=f"{changed.id}.*edition is still 1.*allowed: edition 2"):
            make_bundle(inventory, [changed, *campaigns[1:]], known, first)
        next_edition = changed.model_copy(update={"edition": 2})
        assert make_bundle(inventory, [next_edition, *campaigns[1:]], known, first).sequence == 2

    def test_secrets_stay_and_a_new_till_gets_its_own(self, inventory: Inventory) -> None:
        branch = inventory.branches[0]
        known = complete_secrets(HomeSecrets(), branch, member_ids(inventory))
        more = branch.model_copy(
            update={"tills": (*branch.tills, branch.tills[0].model_copy(update={"name": "t2"}))}
        )
        after = complete_secrets(known, more, member_ids(inventory))
        assert {name: token for name, token in after.till_tokens.items() if name != "t2"} == known.till_tokens
        assert (after.cashier_pin, after.member_codes) == (known.cashier_pin, known.member_codes)
        assert len(set(after.till_tokens.values())) == 2


class TestChain:
    def test_hq_gets_every_branch_and_what_the_agent_works_from(
        self, inventory: Inventory, campaigns: list[Campaign]
    ) -> None:
        (here,) = inventory.branches
        unnumbered = here.agents[0].model_copy(update={"number": None})
        here = here.model_copy(update={"agents": (unnumbered,)})
        agents = (unnumbered.model_copy(update={"name": "pier-1", "number": 7}),)
        pier = here.model_copy(update={"code": "PIER", "agents": agents})
        both = inventory.model_copy(update={"branches": (here, pier)})
        known = complete_secrets(HomeSecrets(), here, member_ids(both))
        bundle = make_bundle(both, campaigns, known, None)
        chain = make_chain(both, bundle)
        assert [branch.code for branch in chain.branches] == ["HARBOUR", "PIER"]
        assert [branch.agents[0].number for branch in chain.branches] == [bundle.agent_number, 7]
        assert chain.campaigns == bundle.campaigns

    def test_an_agent_name_or_number_that_stands_twice_is_told(
        self, inventory: Inventory, campaigns: list[Campaign]
    ) -> None:
        (here,) = inventory.branches
        both = inventory.model_copy(update={"branches": (here, here.model_copy(update={"code": "PIER"}))})
        known = complete_secrets(HomeSecrets(), here, member_ids(both))
        bundle = make_bundle(both, campaigns, known, None)
        with pytest.raises(
            ConfigurationWrong, match=r"agent name 'harbour-1' is used twice.*number 1.*allowed"
        ):
            make_chain(both, bundle)

    def test_the_operators_password_is_kept_by_its_hash(self, inventory: Inventory) -> None:
        known = complete_secrets(HomeSecrets(), inventory.branches[0], member_ids(inventory))
        (user,) = hq_users(known)["users"]
        assert known.hq_password not in json.dumps(user)
        salt = bytes.fromhex(user["salt"])
        hashed = scrypt(known.hq_password.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32)
        assert (user["name"], user["password_scrypt"]) == (HQ_USER, hashed.hex())
        again = complete_secrets(known, inventory.branches[0], member_ids(inventory))
        assert again.hq_password == known.hq_password


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
        home.write_secrets(HomeSecrets(cashier_pin="123456"))
        for path in (home.folder, *home.folder.rglob("*")):
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path

    def test_a_damaged_file_is_named(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        home.bundle_file.write_text(json.dumps({"version": 1}))
        with pytest.raises(WorkFailed, match=r"bundle\.json is damaged"):
            home.read_bundle()

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

    def test_the_bundle_comes_back_as_written(
        self, tmp_path: Path, inventory: Inventory, campaigns: list[Campaign]
    ) -> None:
        known = complete_secrets(HomeSecrets(), inventory.branches[0], member_ids(inventory))
        bundle = make_bundle(inventory, campaigns, known, None)
        home = Home(tmp_path)
        home.write_bundle(bundle)
        assert home.read_bundle() == bundle
        assert isinstance(bundle, Bundle)
