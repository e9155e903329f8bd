"""Files of a home: private (0600 in folders of 0700), whole or not there, and one owner at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from provisioning.faults import ConfigurationWrong, WorkFailed


def make_private_folder(folder: Path) -> None:
    """One that is there keeps its mode: it may be somebody's, and what we put into it is private by itself.

    Errors: ConfigurationWrong when a file is in the way; WorkFailed when the system refuses.
    """
    try:
        folder.mkdir(mode=0o700, parents=True)
    except (FileExistsError, NotADirectoryError) as there:
        if not folder.is_dir():
            raise ConfigurationWrong(
                f"{folder} is not a folder; allowed: a folder, or a path not used yet"
            ) from there
    except OSError as refused:
        raise WorkFailed(f"cannot make the folder {folder}: {refused.strerror}") from refused


def write_private(path: Path, content: bytes) -> None:
    """Replace the file by rename, synced: a reader or a power cut sees the old or the new, never a part.

    Errors: WorkFailed when the system refuses.
    """
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.unlink(missing_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        _sync_folder(path.parent)
    except OSError as refused:
        raise WorkFailed(f"cannot write {path}: {refused.strerror}") from refused


def read_private(path: Path) -> bytes | None:
    """The file's bytes; None when there is none. Errors: WorkFailed when it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as refused:
        raise WorkFailed(f"cannot read {path}: {refused.strerror}") from refused


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def only_owner(lock: Path) -> Iterator[None]:
    """Hold the home for as long as this process lives. Errors: WorkFailed naming the process that holds it."""
    handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(handle, "r+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            holder = file.read(20).strip() or "unknown"
            raise WorkFailed(
                f"process {holder} already runs `beckon up` on {lock.parent}; stop it, or set BECKON_HOME to "
                "another folder and BECKON_PORT to other ports"
            ) from held
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
