"""The users who may sign in, in a file that `beckon-cloud user` writes, or `beckon up` for its own cloud."""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import StringConstraints, ValidationError

from cloud_api.ports.storage import User
from engagement.ids import Label
from engagement.values import Value


class UsersRefused(Exception):
    """The users' file cannot be used; one line per mistake."""


class WrittenUser(Value):
    """``password_scrypt``: scrypt of the password with ``salt``, N=2**14, r=8, p=1, 32 bytes; both as hexadecimal."""

    name: Label
    salt: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    password_scrypt: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class WrittenUsers(Value):
    version: Literal[1]
    users: tuple[WrittenUser, ...]


def read_users(path: Path) -> list[User]:
    """Errors: UsersRefused."""
    return [
        User(user.name, bytes.fromhex(user.salt), bytes.fromhex(user.password_scrypt))
        for user in read_written(path).users
    ]


def read_written(path: Path) -> WrittenUsers:
    """Errors: UsersRefused."""
    try:
        written = WrittenUsers.model_validate_json(path.read_bytes())
    except OSError as failure:
        raise UsersRefused(f"users: cannot read {path}: {failure.strerror}") from failure
    except ValidationError as invalid:
        lines = [
            f"users {path}: {'.'.join(map(str, error['loc'])) or 'file'}: {error['msg']} (value {_brief(error['input'])})"
            for error in invalid.errors(include_url=False)
        ]
        raise UsersRefused("\n".join(lines)) from invalid
    if len({user.name for user in written.users}) != len(written.users):
        raise UsersRefused(f"users {path}: two users have the same name")
    return written


def write_users(path: Path, users: WrittenUsers) -> None:
    """By rename, readable by its owner alone, who stays the same. Errors: OSError."""
    beside = path.with_name(path.name + ".new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        hand_over(handle, path if path.exists() else path.parent)
        file.write(users.model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(handle)
    beside.replace(path)


def hand_over(handle: int, like: Path) -> None:
    """Give an open file that root made to whoever owns ``like``: root works in a service's folder for that service, which
    could not open the file otherwise. Never one that was opened through a link, or the service could name any file of root's.
    Errors: OSError."""
    if os.geteuid() == 0:
        owner = like.stat()
        os.fchown(handle, owner.st_uid, owner.st_gid)


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
