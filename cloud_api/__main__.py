"""``beckon-cloud``: parse arguments, load settings, run, and turn fatal errors into exit codes."""

import argparse
import os
import signal
import sys
import tomllib
from errno import EADDRINUSE, EADDRNOTAVAIL
from importlib.metadata import version
from pathlib import Path
from socket import EAI_NONAME
from typing import NoReturn

from pydantic import ValidationError

from cloud_api.adapters.clock import SystemClock
from cloud_api.adapters.log_lines import log_to_stderr
from cloud_api.config import Settings, complaints, load_settings
from cloud_api.user_command import add_user_parser, main_user

EXIT_DONE, EXIT_FAILED, EXIT_WRONG = 0, 1, 2
# What the system answers where nothing can be listened on: taken, not of this machine, no such host.
_NO_PLACE = (EADDRINUSE, EADDRNOTAVAIL, EAI_NONAME)


def main(arguments: list[str] | None = None) -> int:
    """Exit codes: 0 done or stopped by a signal, 1 the work failed, 2 the call or the configuration is wrong."""
    args = _parser().parse_args(arguments)
    try:
        settings = load_settings(args.config)
    except (OSError, tomllib.TOMLDecodeError) as failure:
        because = getattr(failure, "strerror", None) or failure
        return _say(f"beckon-cloud: settings: {args.config}: {because}", EXIT_WRONG)
    except ValidationError as invalid:
        lines = (f"beckon-cloud: settings: {line}" for line in complaints(invalid))
        return _say("\n".join(lines), EXIT_WRONG)
    try:
        if args.command == "backup":
            return _back_up(settings, args.file)
        if args.command == "restore":
            return _restore(settings, args.file, args.also, over_another=args.over_another)
        if args.command == "user":
            return main_user(args, settings)
    except PermissionError as denied:
        return _say(
            f"beckon-cloud: {denied.filename}: permission denied; run this as root, or as the cloud's own user",
            EXIT_FAILED,
        )
    log_to_stderr(settings.log_level)
    return _serve(settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="beckon-cloud",
        description="HQ: takes what the stores send, exactly once, and tells what it comes to.",
        epilog="Exit codes: 0 done, 1 the work failed, 2 the call or the configuration is wrong.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {version('beckon')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="serve until SIGINT or SIGTERM",
        description="Serve HQ until SIGINT or SIGTERM. Settings may also be given as BECKON_CLOUD_<KEY>.",
    )
    backup = commands.add_parser(
        "backup",
        help="copy the database to a file, also while the cloud runs",
        description="Copy HQ's database to FILE, as it is at one instant; the cloud may be running. FILE appears when it is "
        "whole and checked, readable by its owner alone; one that is there is replaced. HQ's sealing key is not in it: "
        "it never leaves its home, and a new home gets a new key, which the desk certifies.",
    )
    backup.add_argument("file", type=Path, metavar="FILE", help="where to write the copy")
    restore = commands.add_parser(
        "restore",
        help="put a backup in the database's place; the cloud must be stopped",
        description="Put the backup FILE in the place of HQ's database. The cloud must be stopped; the database that was "
        "there stays beside it under another name. HQ has then forgotten which rights it granted since the backup: it "
        "grants none until every agent it knows has asked for rights again, by itself, once it reaches HQ. An agent that "
        "never will must be written off (`beckon agent write-off AGENT` at the desk, or in the console).",
    )
    restore.add_argument("file", type=Path, metavar="FILE", help="what `beckon-cloud backup` wrote")
    restore.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="AGENT",
        help="wait for this agent too, which was enrolled after the backup; may be repeated. Needed only where the "
        "database of before is lost: what such an agent holds would otherwise be granted once more to others",
    )
    restore.add_argument(
        "--over-another",
        action="store_true",
        help="also where FILE is of another HQ than the database that is there, as after HQ had to begin anew without a backup: "
        "what was published, stopped and granted by either then counts",
    )
    for command in (run, backup, restore, add_user_parser(commands)):
        command.add_argument("--config", type=Path, required=True, metavar="FILE", help="settings (TOML)")
    return parser


def _back_up(settings: Settings, target: Path) -> int:
    from cloud_api.adapters.sqlite.backup import BackupRefused, back_up
    from cloud_api.app import DATABASE_FILE

    database = settings.home / DATABASE_FILE
    if not database.is_file():
        return _say(
            f"beckon-cloud: settings: home = {str(settings.home)!r}: no {DATABASE_FILE} in it", EXIT_WRONG
        )
    if not target.resolve().parent.is_dir():
        return _say(f"beckon-cloud: FILE = {str(target)!r}: there is no folder {target.parent}", EXIT_WRONG)
    if target.is_dir() or target.resolve() == database.resolve():
        return _say(f"beckon-cloud: FILE = {str(target)!r}: name a file of its own for the copy", EXIT_WRONG)
    try:
        size = back_up(database, target)
    except PermissionError:
        raise
    except (BackupRefused, OSError) as failure:
        return _say(f"beckon-cloud: {failure}", EXIT_FAILED)
    print(f"{target}: {size} bytes, checked")  # noqa: T201  # the command's answer
    return EXIT_DONE


def _restore(settings: Settings, backup: Path, also: list[str], *, over_another: bool) -> int:
    from cloud_api.adapters.sqlite.backup import BackupRefused, restore
    from cloud_api.adapters.sqlite.file import DatabaseRefused
    from cloud_api.app import DATABASE_FILE

    if not backup.is_file():
        return _say(f"beckon-cloud: FILE = {str(backup)!r}: there is no such file", EXIT_WRONG)
    if backup.resolve() == (settings.home / DATABASE_FILE).resolve():
        return _say(
            f"beckon-cloud: FILE = {str(backup)!r}: that is HQ's database; name a backup of it", EXIT_WRONG
        )
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        restored = restore(
            settings.home / DATABASE_FILE,
            backup,
            now_ms=SystemClock().now_ms(),
            also=also,
            over_another=over_another,
        )
    except PermissionError:
        raise
    except (BackupRefused, DatabaseRefused, OSError) as failure:
        return _say(f"beckon-cloud: {failure}", EXIT_FAILED)
    lines = [f"{settings.home / DATABASE_FILE}: restored from {backup}"]
    if restored.replaced is not None:
        lines.append(f"The database that was there is now {restored.replaced}.")
    elif not also:
        lines.append(
            "No database was there: were agents enrolled after the backup, run this again before HQ starts, with --also for "
            "each."
        )
    if restored.awaited:
        lines.append(
            "HQ grants no rights until each of these agents has reached it again, or was written off:"
        )
        lines += [f"  {agent}" for agent in restored.awaited]
    if restored.unknown:
        lines.append(
            "The backup does not know these of them; add them to the estate and enrol them anew, or write off what was "
            "mistyped:"
        )
        lines += [f"  {agent}" for agent in restored.unknown]
    print("\n".join(lines))  # noqa: T201  # the command's answer
    return EXIT_DONE


def _serve(settings: Settings) -> int:
    # Before the rest is imported: a stop during the start is no failure, also where SIGINT came ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stopped_early)
    import uvloop

    from cloud_api.adapters.authority_key import AuthorityRefused
    from cloud_api.adapters.files import UsersRefused
    from cloud_api.adapters.sqlite.file import DatabaseRefused
    from cloud_api.adapters.tls import CertificateRefused
    from cloud_api.app import run_cloud
    from cloud_api.ports.storage import StorageFailed

    try:
        uvloop.run(run_cloud(settings))
    except (
        Exception
    ) as error:  # the top of the program: what is known becomes an exit code, the rest a traceback
        cause = _first_cause(error)
        if isinstance(cause, UsersRefused | CertificateRefused | AuthorityRefused):
            return _say(f"beckon-cloud: {cause}", EXIT_WRONG)
        if isinstance(cause, OSError) and cause.errno in _NO_PLACE:
            where = f"settings: address = {settings.address!r}, port = {settings.port}"
            return _say(f"beckon-cloud: {where}: {cause.strerror}", EXIT_FAILED)
        if isinstance(cause, DatabaseRefused | StorageFailed | OSError):
            return _say(f"beckon-cloud: {cause}", EXIT_FAILED)
        raise
    return EXIT_DONE


def _stopped_early(_number: int, _frame: object) -> NoReturn:
    # No exception: what C calls back while modules load swallows it, or takes its module for broken. Nothing is open yet
    # that a power cut would harm.
    os._exit(EXIT_DONE)


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
