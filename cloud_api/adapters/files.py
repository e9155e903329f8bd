"""The file that provisioning writes for the cloud: the users who may sign in."""

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
    return [
        User(user.name, bytes.fromhex(user.salt), bytes.fromhex(user.password_scrypt))
        for user in written.users
    ]


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
