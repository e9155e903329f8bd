"""A home's folder: what lies where, and reading and writing it."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import as_file, files
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from pydantic import ValidationError

from engagement.estate.branch import Branch
from engagement.estate.bundle import Bundle
from engagement.ids import AgentName, BranchCode
from engagement.values import Value
from provisioning.adapters.certificates import ensure_certificates
from provisioning.adapters.home_files import make_private_folder, read_private, write_private
from provisioning.adapters.secrets_file import SecretsFile, secrets_beside
from provisioning.faults import WorkFailed
from provisioning.recording import write_recording
from provisioning.services.seeding import HomeSecrets, HomeState, branch_digest

# Any would do; a fixed one gives every home the same half hour to talk about.
_RECORDING_SEED = 1

# What the first version wrote, and HQ's API has taken the place of.
_FIRST_VERSIONS = ("bundle.json", "estate.json")

V = TypeVar("V", bound=Value)


@dataclass(frozen=True, slots=True)
class Home:
    """``folder`` is absolute."""

    folder: Path

    @property
    def inventory_file(self) -> Path:
        return self.folder / "inventory.yaml"

    @property
    def campaigns_folder(self) -> Path:
        return self.folder / "campaigns"

    @property
    def tls_folder(self) -> Path:
        return self.folder / "tls"

    @property
    def ca_file(self) -> Path:
        return self.tls_folder / "ca.pem"

    @property
    def agent_folder(self) -> Path:
        return self.folder / "agent"

    @property
    def agent_settings_file(self) -> Path:
        return self.folder / "agent.toml"

    @property
    def claim_file(self) -> Path:
        """Where the agent looks for a claim code; it deletes the file once the code is used."""
        return self.folder / "claim-code"

    @property
    def cloud_folder(self) -> Path:
        return self.folder / "cloud"

    @property
    def cloud_settings_file(self) -> Path:
        return self.folder / "cloud.toml"

    @property
    def users_file(self) -> Path:
        return self.folder / "hq-users.json"

    @property
    def cloud_log_file(self) -> Path:
        return self.folder / "beckon-cloud.log"

    @property
    def recording_file(self) -> Path:
        return self.folder / "store-half-hour.jsonl"

    @property
    def log_file(self) -> Path:
        return self.folder / "beckon-agent.log"

    @property
    def run_file(self) -> Path:
        return self.folder / "run.json"

    @property
    def state_file(self) -> Path:
        return self.folder / "state.json"

    @property
    def lock_file(self) -> Path:
        return self.folder / "up.lock"

    def make_folders(self) -> None:
        for folder in (self.folder, self.tls_folder, self.agent_folder, self.cloud_folder):
            make_private_folder(folder)

    def seed_files(self) -> None:
        """Copy the shipped inventory and campaigns where there are none; from then on they are the owner's."""
        with as_file(files("provisioning.shipped")) as shipped:
            if not self.inventory_file.exists():
                write_private(self.inventory_file, (shipped / "inventory.yaml").read_bytes())
            if not self.campaigns_folder.exists():
                # The folder appears whole: a start that is cut short leaves no half set of campaigns.
                beside = self.folder / ".campaigns.new"
                shutil.rmtree(beside, ignore_errors=True)
                make_private_folder(beside)
                for campaign in sorted((shipped / "campaigns").glob("*.yaml")):
                    write_private(beside / campaign.name, campaign.read_bytes())
                beside.replace(self.campaigns_folder)

    def campaign_files(self) -> list[Path]:
        return sorted(self.campaigns_folder.glob("*.yaml"))

    def ensure_certificates(self, portal_name: str) -> None:
        ensure_certificates(self.tls_folder, portal_name=portal_name, now=datetime.now(UTC))

    def read_secrets(self) -> HomeSecrets:
        return _read_json(self.folder / "secrets.json", HomeSecrets) or HomeSecrets()

    def write_secrets(self, known: HomeSecrets) -> None:
        write_private(self.folder / "secrets.json", known.model_dump_json(indent=2).encode())

    @property
    def secrets(self) -> SecretsFile:
        """Of the chain, where `beckon apply` keeps them too."""
        return SecretsFile(secrets_beside(self.inventory_file))

    def read_state(self) -> HomeState | None:
        return _read_json(self.state_file, HomeState) or self._state_before()

    def write_state(self, state: HomeState) -> None:
        write_private(self.state_file, state.model_dump_json(indent=2).encode())
        for name in _FIRST_VERSIONS:
            (self.folder / name).unlink(missing_ok=True)

    def _state_before(self) -> HomeState | None:
        """Of a home that the first version made, which kept the agent's bundle itself."""
        bundle = _read_json(self.folder / _FIRST_VERSIONS[0], Bundle)
        if bundle is None:
            return None
        return HomeState(
            branch=bundle.branch.code, agent=bundle.agent, recording=branch_digest(bundle.branch)
        )

    def set_agent_aside(self, before: HomeState, *, branch: BranchCode, agent: AgentName) -> Path:
        """Put the folder of the agent that ran here where it is found again, and make room for this one; where it went.

        An agent's ledger, keys and enrolment are one branch's: HQ knows its journal by its name, its coupons bear its
        number. Whoever comes back finds its own again.
        """
        aside = self._aside(before.branch, before.agent)
        if not aside.exists():
            self.agent_folder.replace(aside)
        elif any(self.agent_folder.iterdir()):
            number = next(
                number for number in count(2) if not aside.with_name(f"{aside.name}.{number}").exists()
            )
            self.agent_folder.replace(aside.with_name(f"{aside.name}.{number}"))
        own = self._aside(branch, agent)
        if own.exists():
            if self.agent_folder.exists():
                self.agent_folder.rmdir()
            own.replace(self.agent_folder)
        else:
            make_private_folder(self.agent_folder)
        return aside

    def _aside(self, branch: BranchCode, agent: AgentName) -> Path:
        return self.folder / f"agent.{branch}.{quote(agent, safe='')}"

    def write_recording(self, branch: Branch) -> None:
        """The same for every home with these beacons; appears whole."""
        beside = self.recording_file.with_suffix(".new")
        write_recording(beside, branch, seed=_RECORDING_SEED)
        beside.chmod(0o600)
        beside.replace(self.recording_file)

    def write_users(self, users: dict[str, Any]) -> None:
        write_private(self.users_file, json.dumps(users, indent=2).encode())

    def write_claim(self, code: str) -> None:
        write_private(self.claim_file, f"{code}\n".encode())

    def write_settings(self, file: Path, settings: Mapping[str, str | int]) -> None:
        """TOML's basic strings are written as JSON's, without escaping what is not ASCII."""
        lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]
        text = "# Written by `beckon up` at every start.\n" + "\n".join(lines) + "\n"
        write_private(file, text.encode())

    def write_run_facts(self, facts: dict[str, Any]) -> None:
        write_private(self.run_file, json.dumps(facts, indent=2, ensure_ascii=False).encode() + b"\n")

    def remove_run_facts(self) -> None:
        self.run_file.unlink(missing_ok=True)


def _read_json(path: Path, model: type[V]) -> V | None:
    content = read_private(path)
    if content is None:
        return None
    try:
        return model.model_validate_json(content)
    except ValidationError as damaged:
        raise WorkFailed(f"{path} is damaged; move it away to have a new one made") from damaged
