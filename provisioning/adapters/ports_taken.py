"""Which process listens on a port, as /proc tells it."""

import errno
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_LISTENING = "0A"
# Enough to know which program it is, and on which folder it works.
_COMMAND_CHARS_MAX = 100


@dataclass(frozen=True, slots=True)
class Holder:
    """``pid`` and ``command`` are None where another user's process holds the port."""

    pid: int | None
    command: str | None

    def __str__(self) -> str:
        return "a process of another user" if self.pid is None else f"process {self.pid} ({self.command})"


def is_free(address: str, port: int) -> bool:
    """Errors: OSError other than a port in use, as for a port that only root may take."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as refused:
            if refused.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def holder_of(port: int) -> Holder:
    wanted = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            for handle in (folder / "fd").iterdir():
                if _link(handle) in wanted:
                    return Holder(int(folder.name), _in_a_line((folder / "cmdline").read_bytes()))
    return Holder(None, None)


def _in_a_line(words: bytes) -> str:
    """What a process was started as, for a terminal: it may be a whole script, or say anything else."""
    text = words.decode(errors="replace").replace("\0", " ")
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line if len(line) <= _COMMAND_CHARS_MAX else f"{line[:_COMMAND_CHARS_MAX]}..."


def _link(handle: Path) -> str:
    with suppress(OSError):
        return os.readlink(handle)
    return ""


def _listening_inodes(port: int) -> set[str]:
    inodes: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                local_port = int(fields[1].rpartition(":")[2], 16)
                if local_port == port and fields[3] == _LISTENING:
                    inodes.add(fields[9])
    return inodes
