"""``beckon-agent``: parse arguments, load settings, run, and turn fatal errors into exit codes."""

import argparse
import os
import signal
import sys
import tomllib
from errno import EADDRINUSE, EADDRNOTAVAIL
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from edge_agent.config import Settings

EXIT_DONE, EXIT_FAILED, EXIT_WRONG = 0, 1, 2


def main(arguments: list[str] | None = None) -> int:
    """Exit codes: 0 done or stopped by a signal, 1 the work failed, 2 the call or the configuration is wrong."""
    # Before the rest is imported: a stop during the start is no failure, also where SIGINT came ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stopped_early)
    args = _parser().parse_args(arguments)
    if args.command == "replay":
        from edge_agent.replay_command import main_replay

        return main_replay(args)
    if args.command == "record":
        from edge_agent.record_command import main_record

        return main_record(args)
    settings = _settings(args.config)
    if isinstance(settings, int):
        return settings
    if args.command == "enrol":
        from edge_agent.enrol_command import main_enrol

        return main_enrol(args, settings)
    return _serve(settings)


def _parser() -> argparse.ArgumentParser:
    from edge_agent.enrol_command import add_enrol_parser
    from edge_agent.record_command import add_record_parser
    from edge_agent.replay_command import add_replay_parser

    parser = argparse.ArgumentParser(
        prog="beckon-agent",
        description="The program in the store: hears beacons, serves the welcome page and the tills, keeps the ledger.",
        epilog="Exit codes: 0 done, 1 the work failed, 2 the call or the configuration is wrong.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {version('beckon')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="serve until SIGINT or SIGTERM",
        description="Serve one store until SIGINT or SIGTERM. Settings may also be given as BECKON_AGENT_<KEY>.",
    )
    run.add_argument("--config", type=Path, required=True, metavar="FILE", help="settings (TOML)")
    add_enrol_parser(commands)
    add_replay_parser(commands)
    add_record_parser(commands)
    return parser


def _stopped_early(_number: int, _frame: object) -> NoReturn:
    # No exception: what C calls back while modules load swallows it, or takes its module for broken. Nothing is open yet
    # that a power cut would harm.
    os._exit(EXIT_DONE)


def _settings(config: Path) -> "Settings | int":
    """The exit code when they cannot be used."""
    from pydantic import ValidationError

    from edge_agent.config import complaints, load_settings

    try:
        return load_settings(config)
    except (OSError, tomllib.TOMLDecodeError) as failure:
        because = getattr(failure, "strerror", None) or failure
        return _say(f"beckon-agent: settings: {config}: {because}", EXIT_WRONG)
    except ValidationError as invalid:
        lines = (f"beckon-agent: settings: {line}" for line in complaints(invalid))
        return _say("\n".join(lines), EXIT_WRONG)


def _serve(settings: "Settings") -> int:
    import uvloop

    from edge_agent.adapters.bundle_file import BundleRefused
    from edge_agent.adapters.log_lines import log_to_stderr
    from edge_agent.adapters.open_files import allow_all_open_files
    from edge_agent.adapters.signing import KeysRefused
    from edge_agent.adapters.sqlite_file import LedgerRefused
    from edge_agent.adapters.tls import CertificateRefused
    from edge_agent.app import run_agent
    from edge_agent.ports import StoreFailed

    log_to_stderr(settings.log_level)
    allow_all_open_files()
    try:
        uvloop.run(run_agent(settings))
    except (
        Exception
    ) as error:  # the top of the program: what is known becomes an exit code, the rest a traceback
        cause = _first_cause(error)
        if isinstance(cause, BundleRefused | CertificateRefused):
            return _say(f"beckon-agent: {cause}", EXIT_WRONG)
        if isinstance(cause, OSError) and cause.errno in (EADDRINUSE, EADDRNOTAVAIL):
            return _say(
                f"beckon-agent: settings: {_listener_in(str(cause), settings)}: {cause.strerror}", EXIT_FAILED
            )
        if isinstance(cause, LedgerRefused | KeysRefused | StoreFailed | OSError):
            return _say(f"beckon-agent: {cause}", EXIT_FAILED)
        raise
    return EXIT_DONE


def _listener_in(failure: str, settings: "Settings") -> str:
    """The keys of the listener that a failure is about: it names the port as Python writes an address."""
    for side, port in (
        ("guest", "guest_http_port"),
        ("guest", "guest_https_port"),
        ("staff", "staff_https_port"),
    ):
        if f", {getattr(settings, port)})" in failure:
            return f"{side}_address, {port}"
    return "the addresses and ports"


def _first_cause(error: BaseException) -> BaseException:
    """The first error inside groups of errors, as task groups raise them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _say(text: str, code: int) -> int:
    print(text, file=sys.stderr)  # noqa: T201  # a command's own words go to its user
    return code


if __name__ == "__main__":
    sys.exit(main())
