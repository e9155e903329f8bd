"""Tells whether a write-ahead log has lost commits that were synced, which SQLite itself passes over in silence.

SQLite reads a log up to the first frame whose checksum fails. That is right for a commit torn by a power cut, and
wrong for a log damaged in its middle: it then opens the file without the commits behind.
Source: sqlite.org/fileformat2.html, section 4.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

_HEADER = struct.Struct(">8I")
_FRAME = struct.Struct(">6I")
_MAGIC_LITTLE_ENDIAN = 0x377F0682
_MAGIC_BIG_ENDIAN = 0x377F0683
_MASK = 0xFFFFFFFF

_Sum = tuple[int, int]


class _Frame(NamedTuple):
    is_of_this_log: bool
    is_commit: bool
    summed: bytes
    sum: _Sum


def has_lost_commits(path: Path) -> bool:
    """Whether commits that were acknowledged cannot be read any more; False when there is no log.

    Every commit is synced before the next begins. So of the frames behind the first bad one, the first commit may
    be one that was being written when the power went; a second proves that the first had been synced.
    """
    try:
        log = path.open("rb")
    except FileNotFoundError:
        return False
    with log:
        header = log.read(_HEADER.size)
        if not any(header) or len(header) < _HEADER.size:
            return False  # cut off while the log was being started: nothing in it was ever acknowledged
        magic, _, page_size, _, salt_1, salt_2, sum_1, sum_2 = _HEADER.unpack(header)
        words = ">" if magic == _MAGIC_BIG_ENDIAN else "<"
        if magic not in (_MAGIC_LITTLE_ENDIAN, _MAGIC_BIG_ENDIAN) or _sum(header[:24], (0, 0), words) != (
            sum_1,
            sum_2,
        ):
            return True
        return _commits_behind_first_bad(_frames(log, page_size, (salt_1, salt_2)), (sum_1, sum_2), words) > 1


def _frames(log: BinaryIO, page_size: int, salts: tuple[int, int]) -> Iterator[_Frame]:
    while len(raw := log.read(_FRAME.size + page_size)) == _FRAME.size + page_size:
        _, pages_after_commit, salt_1, salt_2, sum_1, sum_2 = _FRAME.unpack_from(raw)
        yield _Frame(
            is_of_this_log=(salt_1, salt_2) == salts,
            is_commit=pages_after_commit > 0,
            summed=raw[:8] + raw[_FRAME.size :],
            sum=(sum_1, sum_2),
        )


def _commits_behind_first_bad(frames: Iterator[_Frame], running: _Sum, words: str) -> int:
    commits = 0
    is_good = True
    for frame in frames:
        if is_good:
            running = _sum(frame.summed, running, words)
            is_good = frame.is_of_this_log and running == frame.sum
        if not is_good and frame.is_of_this_log and frame.is_commit:
            commits += 1
    return commits


def _sum(data: bytes, start: _Sum, words: str) -> _Sum:
    one, two = start
    numbers = iter(struct.unpack(f"{words}{len(data) // 4}I", data))
    for first, second in zip(numbers, numbers, strict=True):
        one = (one + first + two) & _MASK
        two = (two + second + one) & _MASK
    return one, two
