"""``beckon-cloud``: parse arguments, load settings, run, and turn fatal errors into exit codes."""

import argparse
import sys
import tomllib
from pathlib import Path

from pydantic import ValidationError

from cloud_api.adapters.log_lines import log_to_stderr
from cloud_api.config import Settings, load_settings

EXIT_DONE, EXIT_FAILED, EXIT_WRONG = 0, 1, 2


def main(arguments: list[str] | None = None) -> int:
    """Exit codes: 0 done or stopped by a signal, 1 the work failed, 2 the call or the configuration is wrong."""
    args = _parser().parse_args(arguments)
    try:
        settings = load_settings(args.config)
    except (OSError, tomllib.TOMLDecodeError) as failure:
        return _say(f"beckon-cloud: settings: {args.config}: {failure}", EXIT_WRONG)
    except ValidationError as invalid:
        lines = [
            f"beckon-cloud: settings: {'.'.join(map(str, error['loc']))} = {error['input']!r}: {error['msg']}"
            for error in invalid.errors(include_url=False)
        ]
        return _say("\n".join(lines), EXIT_WRONG)
    log_to_stderr(settings.log_level)
    return _serve(settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="beckon-cloud",
        description="HQ: takes what the stores send, exactly once, and tells what it comes to.",
        epilog="Exit codes: 0 done, 1 the work failed, 2 the call or the configuration is wrong.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="serve until SIGINT or SIGTERM",
        description="Serve HQ until SIGINT or SIGTERM. Settings may also be given as BECKON_CLOUD_<KEY>.",
    )
    run.add_argument("--config", type=Path, required=True, metavar="FILE", help="settings (TOML)")
    return parser


def _serve(settings: Settings) -> int:
    import uvloop

    from cloud_api.adapters.authority_key import AuthorityRefused
    from cloud_api.adapters.files import UsersRefused
    from cloud_api.adapters.sqlite.file import DatabaseRefused
    from cloud_api.adapters.tls import CertificateRefused
    from cloud_api.app import run_cloud
    from cloud_api.ports.chain import ChainRefused
    from cloud_api.ports.storage import StorageFailed

    try:
        uvloop.run(run_cloud(settings))
    except (
        Exception
    ) as error:  # the top of the program: what is known becomes an exit code, the rest a traceback
        cause = _first_cause(error)
        if isinstance(cause, ChainRefused | UsersRefused | CertificateRefused | AuthorityRefused):
            return _say(f"beckon-cloud: {cause}", EXIT_WRONG)
        if isinstance(cause, DatabaseRefused | StorageFailed | OSError):
            return _say(f"beckon-cloud: {cause}", EXIT_FAILED)
        raise
    return EXIT_DONE


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
