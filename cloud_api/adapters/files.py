"""The two files that provisioning writes for the cloud: the chain, and the users who may sign in."""

from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, StringConstraints, ValidationError

from cloud_api.ports.chain import ChainRefused, ChainSource
from cloud_api.ports.storage import User
from engagement.estate.chain import Chain
from engagement.ids import Label
from engagement.values import Value

M = TypeVar("M", bound=BaseModel)


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
    written = _read(path, "users", WrittenUsers, UsersRefused)
    if len({user.name for user in written.users}) != len(written.users):
        raise UsersRefused(f"users {path}: two users have the same name")
    return [
        User(user.name, bytes.fromhex(user.salt), bytes.fromhex(user.password_scrypt))
        for user in written.users
    ]


class ChainFile(ChainSource):
    """Read again when it was replaced or changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None

    def read_if_changed(self) -> Chain | None:
        try:
            found = self._path.stat()
        except OSError as failure:
            self._seen = None
            raise ChainRefused(f"estate: cannot read {self._path}: {failure.strerror}") from failure
        seen = (found.st_ino, found.st_mtime_ns, found.st_size)
        if seen == self._seen:
            return None
        chain = _read(self._path, "estate", Chain, ChainRefused)
        self._seen = seen
        return chain


def _read(path: Path, what: str, model: type[M], refused: type[Exception]) -> M:
    try:
        return model.model_validate_json(path.read_bytes())
    except OSError as failure:
        raise refused(f"{what}: cannot read {path}: {failure.strerror}") from failure
    except ValidationError as invalid:
        lines = [
            f"{what} {path}: {'.'.join(map(str, error['loc'])) or 'file'}: {error['msg']} (value {_brief(error['input'])})"
            for error in invalid.errors(include_url=False)
        ]
        raise refused("\n".join(lines)) from invalid


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
