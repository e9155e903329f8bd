"""Watches the free space beside the database, and holds some back for what must still work on a full disk.

The ballast is a file of allocated blocks that is given up when SQLite finds no more room: on a full volume not
even a DELETE or a checkpoint works, and all of them work again at once when a file beside the database goes.
"""

import os
from dataclasses import dataclass
from pathlib import Path

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceLimits:
    """When the disk counts as full, in bytes; the gap between the two marks keeps it from flapping."""

    # The write-ahead log between two checkpoints (8 MiB at worst), and some 5,000 redemptions of about 1.5 kB.
    ballast_bytes: int = 16 * _MIB
    # The log, its checkpoint, and a log file or an update that grows beside us between two looks.
    full_below_bytes: int = 32 * _MIB
    resume_above_bytes: int = 64 * _MIB


class Ballast:
    """The file that is given up."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size

    @property
    def missing_bytes(self) -> int:
        try:
            return max(0, self._size - self._path.stat().st_size)
        except FileNotFoundError:
            return self._size

    def hold(self) -> None:
        """Allocate the blocks; gives them back when the disk has too few."""
        if not self.missing_bytes:
            return
        handle = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(handle, 0, self._size)
        except OSError:
            self.release()
        finally:
            os.close(handle)

    def release(self) -> None:
        self._path.unlink(missing_ok=True)


class Space:
    """Whether there is room, as last seen."""

    def __init__(self, database: Path, limits: SpaceLimits) -> None:
        self._folder = database.parent
        self._limits = limits
        self._ballast = Ballast(database.with_name(database.name + ".ballast"), limits.ballast_bytes)
        self._is_full = False

    @property
    def is_full(self) -> bool:
        return self._is_full

    def look(self) -> None:
        """Measure the free space; restores the ballast as soon as that leaves enough."""
        free = self._free_bytes() - self._ballast.missing_bytes
        enough = self._limits.resume_above_bytes if self._is_full else self._limits.full_below_bytes
        self._is_full = free < enough
        if not self._is_full:
            self._ballast.hold()

    def make_room_to_start(self) -> None:
        """Opening needs room too: on a full disk the ballast goes now."""
        if self._free_bytes() < self._limits.ballast_bytes and not self._ballast.missing_bytes:
            self._is_full = True
            self._ballast.release()

    def ran_out(self) -> None:
        """SQLite found no more room."""
        self._is_full = True

    def give_up_ballast(self) -> None:
        self._ballast.release()

    def _free_bytes(self) -> int:
        seen = os.statvfs(self._folder)
        return seen.f_bavail * seen.f_frsize
