"""Somebody at a desk of HQ's: `beckon` as a real process against a real cloud, and the files that it works from."""

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fakes.cloud_process import PASSWORD, USER, CloudHome
from tests.fakes.warm_process import WarmProcess
from tests.house.tree import ROOT

_DONE_WITHIN_S = 60.0
CHAIN = """\
version: 1
members: [{id: m-1}]
campaigns: [welcome.yaml]
branches:
  - name: Pier
    code: PIER
    time_zone: Asia/Shanghai
    languages: [en]
    currency: CNY
    zones: [door, cafe]
    beacons:
      - {name: b-1, role: zone, zone: cafe, altbeacon: {id: 9a4c1d7e52f048b3a6de0b7715c3f8e200010001}}
    agents: [pier-1]
    tills: [till-1]
""".replace("agents: [pier-1]", "agents: [{name: pier-1}]")


@dataclass
class Operator:
    """``folder``: where their files are; ``changes``: of the environment."""

    folder: Path
    hq: CloudHome
    changes: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.inventory.write_text(CHAIN, encoding="utf-8")
        shipped = ROOT / "provisioning" / "shipped" / "campaigns" / "welcome.yaml"
        self.campaign.write_text(shipped.read_text(encoding="utf-8"), encoding="utf-8")

    @property
    def inventory(self) -> Path:
        return self.folder / "chain.yaml"

    @property
    def campaign(self) -> Path:
        return self.folder / "welcome.yaml"

    @property
    def secrets(self) -> Path:
        return self.folder / "chain.yaml.secrets.json"

    def rewrite(self, old: str, new: str, file: Path | None = None) -> None:
        path = file or self.inventory
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    def beckon(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BECKON_")}
        environment |= {
            "BECKON_HQ_URL": self.hq.url,
            "BECKON_HQ_CA": str(self.hq.folder / "ca.pem"),
            "BECKON_HQ_USER": USER,
            "BECKON_HQ_PASSWORD": PASSWORD,
        }
        words = list(map(str, arguments))
        with TemporaryDirectory() as said:
            output, errors = Path(said, "output"), Path(said, "errors")
            process = WarmProcess(
                "provisioning",
                words,
                environment={name: value for name, value in (environment | self.changes).items() if value},
                output=output,
                errors=errors,
                folder=self.folder,
            )
            code = process.wait(_DONE_WITHIN_S)
            return subprocess.CompletedProcess(words, code, output.read_text(), errors.read_text())
