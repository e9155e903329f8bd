"""Small files that are replaced whole: after a power cut there is the old one or the new one, never half of either."""

import os
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Write a file of mode 0600 by rename, durable when this returns. Errors: OSError."""
    temporary = path.with_name(path.name + ".new")
    try:
        _write(temporary, content)
        temporary.replace(path)
    except OSError:
        # On a full disk the part that did fit would take the room that others need.
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write(path: Path, content: bytes) -> None:
    # Never through a link: root writes into folders of others, as when it types a claim code for the agent.
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        if os.geteuid() == 0:
            # Root works in a service's folder for that service, which could not read the file otherwise.
            owner = path.parent.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        file.write(content)
        file.flush()
        os.fsync(descriptor)
