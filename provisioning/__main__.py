"""``beckon``: arguments in, exit codes out (0 done, 1 the work failed, 2 the call or the configuration is wrong)."""

import os
import signal
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from typer.core import MarkupMode

from provisioning.adapters.terminal import complain, say
from provisioning.faults import ConfigurationWrong, WorkFailed

# Help and complaints in plain text, as all else that these programs say.
_PLAIN: MarkupMode = None
beckon = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=_PLAIN,
)
campaign = typer.Typer(
    no_args_is_help=True, rich_markup_mode=_PLAIN, help="Campaigns: check files, publish, stop, list."
)
beckon.add_typer(campaign, name="campaign")
agent = typer.Typer(
    no_args_is_help=True, rich_markup_mode=_PLAIN, help="Agents: list, revoke lost ones, write off dead ones."
)
beckon.add_typer(agent, name="agent")
hq_itself = typer.Typer(
    no_args_is_help=True, rich_markup_mode=_PLAIN, help="HQ itself: certify its sealing key, and its TLS key."
)
beckon.add_typer(hq_itself, name="hq")


def _tell_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        say(f"beckon {version('beckon')}")
        raise typer.Exit


@beckon.callback(epilog="Exit codes: 0 done, 1 the work failed, 2 the call or the configuration is wrong.")
def _programs(
    _version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_tell_version, help="Tell the version and exit."),
    ] = False,
) -> None:
    """Beckon at HQ: what stores are to be, from files to every store; and one whole store on this machine."""


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
    # No exception: what C calls back while modules load swallows it, or takes its module for broken. Nothing is open yet
    # that a power cut would harm.
    os._exit(0)


HqUrl = Annotated[
    str | None, typer.Option("--hq", metavar="URL", help="HQ's address, https://HOST[:PORT] (BECKON_HQ_URL).")
]
HqCa = Annotated[
    Path | None,
    typer.Option("--hq-ca", metavar="FILE", help="The authority of HQ's certificate, in PEM (BECKON_HQ_CA)."),
]
HomeFolder = Annotated[
    Path | None,
    typer.Option("--home", metavar="FOLDER", help="Instead of an address: the folder of a `beckon up`."),
]
SecretsPath = Annotated[
    Path | None,
    typer.Option(
        "--secrets",
        metavar="FILE",
        help="Where tills' tokens, cashiers' PINs and members' codes are kept; INVENTORY.secrets.json otherwise.",
    ),
]
Renewed = Annotated[
    list[str] | None,
    typer.Option("--renew", metavar="BRANCH", help="Draw new secrets for a branch's tills and cashier."),
]


@beckon.command("check", short_help="Check an inventory and its campaigns, without HQ.")
def check_inventory(
    path: Annotated[Path, typer.Argument(metavar="INVENTORY", help="All branches of the chain (YAML).")],
) -> None:
    """Check an inventory and the campaigns that it names; HQ is not asked.

    Every mistake is told at once, with its file and line.
    """
    from provisioning.commands import checking

    checking.check(path)


@beckon.command("plan", short_help="Show what `beckon apply` would change at HQ.")
def plan_inventory(
    path: Annotated[Path, typer.Argument(metavar="INVENTORY", help="All branches of the chain (YAML).")],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="PLAN", help="Keep the plan in a file, for `beckon apply PLAN`."),
    ] = None,
    hq: HqUrl = None,
    hq_ca: HqCa = None,
    home: HomeFolder = None,
    secrets: SecretsPath = None,
    renew: Renewed = None,
) -> None:
    """Show what `beckon apply` would change at HQ, a line for each thing. Changes nothing.

    Also told: agents that do not work from the newest bundle yet, and campaigns that no file names any more.
    HQ's user and password come from BECKON_HQ_USER and BECKON_HQ_PASSWORD, or are asked for; where HQ is that of a
    `beckon up` (--home, or ./.beckon) none of this is needed.
    """
    from provisioning.commands import planning
    from provisioning.commands.hq import HqOptions

    planning.plan(path, options=HqOptions(hq, hq_ca, home), out=out, secrets=secrets, renewed=renew or ())


@beckon.command("apply", short_help="Make HQ want what an inventory says.")
def apply_plan(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="INVENTORY|PLAN", help="An inventory (YAML), or what `beckon plan --out` wrote."
        ),
    ],
    hq: HqUrl = None,
    hq_ca: HqCa = None,
    home: HomeFolder = None,
    secrets: SecretsPath = None,
    renew: Renewed = None,
) -> None:
    """Make HQ want what an inventory says, or carry out a plan: whole, or not at all.

    A plan is refused once HQ has changed since it was made: then plan again. Secrets of new tills, cashiers and
    members are drawn here and kept in a file beside the inventory; HQ gets their hashes alone. HQ is found as for
    `beckon plan`.
    """
    from provisioning.commands import planning
    from provisioning.commands.hq import HqOptions

    planning.apply(path, options=HqOptions(hq, hq_ca, home), secrets=secrets, renewed=renew or ())


@campaign.command("list", short_help="List the campaigns at HQ, or the shipped ones.")
def list_campaigns(
    shipped: Annotated[
        bool, typer.Option("--shipped", help="Those that come with this version, with their files.")
    ] = False,
    hq: HqUrl = None,
    hq_ca: HqCa = None,
    home: HomeFolder = None,
) -> None:
    """List the campaigns at HQ: id, edition, trigger, state and name, separated by tabs."""
    from provisioning.commands import campaigns
    from provisioning.commands.hq import HqOptions

    if shipped:
        campaigns.list_shipped()
    else:
        campaigns.list_at_hq(HqOptions(hq, hq_ca, home))


@campaign.command("check", short_help="Check campaign files, without HQ.")
def check_campaigns(
    paths: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Campaigns (YAML), one in each file.")
    ],
) -> None:
    """Check campaign files, and that no two of them share an id or a number."""
    from provisioning.commands import campaigns

    campaigns.check(paths)


@campaign.command("publish")
def publish_campaigns(
    paths: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Campaigns (YAML), one in each file.")
    ],
    hq: HqUrl = None,
    hq_ca: HqCa = None,
    home: HomeFolder = None,
) -> None:
    """Publish campaign files at HQ, all of them or none.

    Published terms never change: other terms need a higher `edition`, and count for coupons given from then on.
    """
    from provisioning.commands import campaigns
    from provisioning.commands.hq import HqOptions

    campaigns.publish(paths, HqOptions(hq, hq_ca, home))


@campaign.command("stop")
def stop_campaign(
    id: Annotated[str, typer.Argument(metavar="ID", help="As `beckon campaign list` tells it.")],
    honour_issued: Annotated[
        bool, typer.Option("--honour-issued", help="Coupons that were given out are still redeemed.")
    ] = False,
    hq: HqUrl = None,
    hq_ca: HqCa = None,
    home: HomeFolder = None,
) -> None:
    """Stop a campaign everywhere, for good."""
    from provisioning.commands import campaigns
    from provisioning.commands.hq import HqOptions

    campaigns.stop(id, honour_issued=honour_issued, options=HqOptions(hq, hq_ca, home))


@agent.command("list", short_help="List HQ's agents, and what ails them.")
def list_agents(hq: HqUrl = None, hq_ca: HqCa = None, home: HomeFolder = None) -> None:
    """List HQ's agents: name, branch, state, last contact, records that wait there, and what ails them.

    Separated by tabs. A restored HQ also tells which of them it must hear before it gives out rights again.
    """
    from provisioning.commands import agents
    from provisioning.commands.hq import HqOptions

    agents.list_all(HqOptions(hq, hq_ca, home))


@agent.command("revoke", short_help="Let lost or stolen machines speak to HQ no more.")
def revoke_agents(
    names: Annotated[
        list[str], typer.Argument(metavar="AGENT...", help="As `beckon agent list` tells them.")
    ],
    hq: HqUrl = None,
    hq_ca: HqCa = None,
    home: HomeFolder = None,
) -> None:
    """Let lost or stolen machines speak to HQ no more, until they are enrolled again."""
    from provisioning.commands import agents
    from provisioning.commands.hq import HqOptions

    agents.revoke(names, HqOptions(hq, hq_ca, home))


@agent.command("write-off", short_help="Count as spent what dead machines hold.")
def write_off_agents(
    names: Annotated[
        list[str], typer.Argument(metavar="AGENT...", help="As `beckon agent list` tells them.")
    ],
    hq: HqUrl = None,
    hq_ca: HqCa = None,
    home: HomeFolder = None,
) -> None:
    """Count as spent what machines hold that are really gone for good; a restored HQ waits for them no more.

    Nobody else can give what they were lent. A machine that comes back all the same gives its rest back by itself. Of one that
    a restored HQ still waits for, nobody knows what it was lent after the backup: if it still works, or has given coupons
    since, as many are lent to others again and paid for twice. Get it back on its line if you can.
    """
    from provisioning.commands import agents
    from provisioning.commands.hq import HqOptions

    agents.write_off(names, HqOptions(hq, hq_ca, home))


@hq_itself.command("certify", short_help="Sign HQ's sealing key with the root.")
def certify_hq(
    root: Annotated[
        Path | None,
        typer.Option("--root", metavar="FOLDER", help="Of ca.pem and ca-key.pem; that of --home otherwise."),
    ] = None,
    replace_root: Annotated[
        bool,
        typer.Option(
            "--replace-root", help="Also where agents have pinned another root; all need new codes then."
        ),
    ] = False,
    hq: HqUrl = None,
    hq_ca: HqCa = None,
    home: HomeFolder = None,
) -> None:
    """Sign HQ's key with the root, whose own key stays here; nothing to do where that was done.

    Before that HQ enrols no agent, and gives no rights and no bundles.
    """
    from provisioning.commands import certifying
    from provisioning.commands.hq import HqOptions

    certifying.certify_hq(HqOptions(hq, hq_ca, home), root=root, replace_root=replace_root)


@hq_itself.command("tls", short_help="Sign HQ's request for a TLS certificate.")
def certify_tls(
    request: Annotated[
        Path, typer.Argument(metavar="REQUEST", help="What `openssl req -new` wrote at HQ (PEM).")
    ],
    root: Annotated[
        Path,
        typer.Option(
            "--root", metavar="FOLDER", help="Of ca.pem and ca-key.pem, which are made at the first time."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="HQ's certificate chain goes here.")],
) -> None:
    """Sign HQ's request for a TLS certificate, where HQ is on a machine of its own; again before its 397 days end.

    The request (PKCS #10) names HQ's hosts; its key stays at HQ, as the root's stays here.
    """
    from provisioning.commands import certifying

    certifying.certify_tls(request, root=root, out=out)


@beckon.command("enrol")
def enrol_box(
    branch: Annotated[str, typer.Argument(metavar="BRANCH", help="Its `code` in the inventory.")],
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="Its `name` in that branch.")],
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="HOST:PORT", help="Where the box is, instead of looking for it."),
    ] = None,
    box: Annotated[
        str | None,
        typer.Option(
            "--box", metavar="FINGERPRINT", help="As the box itself shows it, instead of being asked."
        ),
    ] = None,
    prints: Annotated[
        bool, typer.Option("--print", help="Only print the claim code, for somebody to type at the box.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Another machine takes the place of one that is enrolled.")
    ] = False,
    hq: HqUrl = None,
    hq_ca: HqCa = None,
    home: HomeFolder = None,
) -> None:
    """Turn a new mini-PC into a branch's agent.

    New boxes are looked for on this network, and you say by its fingerprint which one is meant: only that box can read
    the claim code, and only once HQ knows that very box is this done. HQ is found as for `beckon plan`.
    """
    from provisioning.commands import enrolling
    from provisioning.commands.hq import HqOptions

    options = enrolling.EnrolOptions(at=at, box=box, prints=prints, replaces=replace)
    enrolling.enrol(branch, agent, options=options, hq=HqOptions(hq, hq_ca, home))


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
