"""``beckon check``: an inventory and the campaigns that it names, without asking HQ."""

from pathlib import Path

from provisioning.adapters.terminal import say
from provisioning.adapters.yaml_files import read_chain


def check(path: Path) -> None:
    """Errors: ConfigurationWrong."""
    written = read_chain(path)
    branches = written.inventory.branches
    beacons = sum(len(branch.beacons) for branch in branches)
    campaigns = f" and {len(written.campaign_files)} campaigns" if written.campaigns is not None else ""
    say(f"{path}: {len(branches)} branches with {beacons} beacons{campaigns} are right")
