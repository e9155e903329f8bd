"""``beckon-cloud user``: who may sign in at HQ, kept in the users' file.

A password is typed twice or read from a pipe; it is never an argument, which other users of the machine could read.
"""

import argparse
import asyncio
import sys
from getpass import getpass
from typing import Final

from pydantic import ValidationError

from cloud_api.adapters.entropy import SystemEntropy
from cloud_api.adapters.files import UsersRefused, WrittenUser, WrittenUsers, read_written, write_users
from cloud_api.adapters.password_scrypt import password_scrypt
from cloud_api.config import Settings

# Guesses at the sign-in are slowed down; whoever reads the file has only scrypt in the way.
_LETTERS_MIN: Final = 12
_SALT_BYTES: Final = 16


def add_user_parser(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "user",
        help="let somebody sign in at HQ, give a new password, or take it away",
        description="Write NAME into the users' file that the settings name, made when it is missing; of the password only "
        "its scrypt. It is asked for, or read from standard input where that is no terminal. The cloud reads the file at "
        "its start.",
    )
    parser.add_argument("name", metavar="NAME", help="who signs in, in the console and with `beckon`")
    parser.add_argument("--remove", action="store_true", help="let NAME sign in no more")
    return parser


def main_user(args: argparse.Namespace, settings: Settings) -> int:
    """Exit codes: 0 done, 1 the file cannot be written, 2 the call or the file is wrong. Errors: PermissionError."""
    path, name = settings.users, str(args.name)
    try:
        known = read_written(path) if path.exists() else WrittenUsers(version=1, users=())
        others = tuple(user for user in known.users if user.name != name)
        if args.remove and len(others) == len(known.users):
            return _say(f"beckon-cloud: {path} has no user {name!r}", 2)
        added = () if args.remove else (_written(name, _password(name)),)
        write_users(path, WrittenUsers(version=1, users=(*others, *added)))
    except UsersRefused as refused:
        return _say(f"beckon-cloud: {refused}", 2)
    except _Unfit as unfit:
        return _say(f"beckon-cloud: {unfit}", 2)
    except PermissionError:
        raise
    except OSError as failure:
        return _say(f"beckon-cloud: {path}: {failure.strerror}", 1)
    done = "is no user any more" if args.remove else "may sign in with this password"
    return _say(f"{name} {done}; counts from the cloud's next start.", 0)


class _Unfit(Exception):
    """What was typed cannot be used."""


def _written(name: str, password: str) -> WrittenUser:
    salt = SystemEntropy().token(_SALT_BYTES)
    hashed = asyncio.run(password_scrypt(password, salt))
    try:
        return WrittenUser(name=name, salt=salt.hex(), password_scrypt=hashed.hex())
    except ValidationError as invalid:
        raise _Unfit(f"NAME is {name!r}: {invalid.errors(include_url=False)[0]['msg']}") from invalid


def _password(name: str) -> str:
    """Errors: _Unfit."""
    if sys.stdin.isatty():
        try:
            password = getpass(f"Password of {name}: ")
            again = getpass("Again: ")
        except (EOFError, KeyboardInterrupt) as gone:
            raise _Unfit("no password was given") from gone
        if again != password:
            raise _Unfit("these are two different passwords")
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if len(password) < _LETTERS_MIN:
        raise _Unfit(f"the password is too short; allowed: {_LETTERS_MIN} letters or more")
    return password


def _say(text: str, code: int) -> int:
    print(text, file=sys.stderr if code else sys.stdout)  # a command's own words go to its user
    return code
