"""``beckon``: arguments in, exit codes out (0 done, 1 the work failed, 2 the call or the configuration is wrong)."""

import signal
import sys
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from provisioning.adapters.terminal import complain, say
from provisioning.faults import ConfigurationWrong, WorkFailed

beckon = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Beckon at HQ: one whole store on this machine, and the files that stores are made of.",
)
campaign = typer.Typer(no_args_is_help=True, help="Campaign files.")
beckon.add_typer(campaign, name="campaign")


@beckon.callback()
def _programs() -> None:
    """Keeps the commands commands, however few there are."""


@beckon.command()
def up() -> None:
    """Run one whole store on this machine until Ctrl-C.

    BECKON_HOME (default .beckon) holds all state. BECKON_PORT (default 8600) is the base of the ports:
    HQ is on it, guest http 10 above it, guest https 11, staff https 12.
    """
    # SIGINT also where it came ignored, as in the background of a script; SIGHUP not, because nohup means it.
    stop_on = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        stop_on.append(signal.SIGHUP)
    # From here on, also while the rest is imported, stopping is no failure.
    for number in stop_on:
        signal.signal(number, _stopped_early)
    from provisioning import app
    from provisioning.config import up_settings

    app.up(up_settings(), stop_on)


def _stopped_early(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(0)


@campaign.command("list")
def list_campaigns(
    shipped: Annotated[bool, typer.Option("--shipped", help="Those that come with this version.")] = False,
) -> None:
    """List campaigns: file, id, edition, trigger and name."""
    from provisioning.adapters.yaml_files import read_campaigns

    if not shipped:
        raise ConfigurationWrong("beckon campaign list needs to know which campaigns; allowed: --shipped")
    with as_file(files("provisioning.shipped") / "campaigns") as folder:
        paths = sorted(folder.glob("*.yaml"))
        for path, found in zip(paths, read_campaigns(paths), strict=True):
            say(f"{path}\t{found.id}\tedition {found.edition}\t{found.trigger.on}\t{found.name}")


@campaign.command("check")
def check_campaigns(paths: Annotated[list[Path], typer.Argument(metavar="FILE...")]) -> None:
    """Check campaign files, and that no two of them share an id or a number."""
    from provisioning.adapters.yaml_files import read_campaigns

    for path, found in zip(paths, read_campaigns(paths), strict=True):
        say(f"{path}: {found.id} edition {found.edition} is right")


@beckon.command("check")
def check_inventory(path: Annotated[Path, typer.Argument(metavar="INVENTORY")]) -> None:
    """Check an inventory file."""
    from provisioning.adapters.yaml_files import read_inventory

    inventory = read_inventory(path)
    beacons = sum(len(branch.beacons) for branch in inventory.branches)
    say(f"{path}: {len(inventory.branches)} branches with {beacons} beacons are right")


def main() -> None:
    try:
        beckon(prog_name="beckon")
    except ConfigurationWrong as wrong:
        complain(str(wrong))
        sys.exit(2)
    except WorkFailed as failed:
        complain(f"beckon: {failed}")
        sys.exit(1)


if __name__ == "__main__":
    main()
