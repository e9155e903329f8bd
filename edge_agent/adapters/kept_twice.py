"""Small files without which a store could not start or would be another one: kept twice, so that what spoils one spares the other.

A cut of power leaves no file half written; but a disk loses a block, a repair of its file system empties a file, and
people edit what they should not. Whichever copy can still be read counts, and puts the other one right.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from edge_agent.adapters.durable_file import replace_file

T = TypeVar("T")

_LOG = logging.getLogger(__name__)


class KeptDamaged(Exception):
    """There are copies, and none can be used; the text says so, without what they hold. Its cause is an OSError where one of
    them may be whole and cannot be read."""


def copies(path: Path) -> tuple[Path, Path]:
    """Where a file is kept, in the order of reading."""
    return path, path.with_name(path.name + ".spare")


def keep_twice(path: Path, content: bytes) -> None:
    """Replace both copies; durable when this returns. A cut between the two leaves the newer one first in the order.

    Errors: OSError.
    """
    for each in copies(path):
        replace_file(each, content)


def read_kept(path: Path, read: Callable[[bytes], T]) -> T | None:
    """What ``read`` makes of the first copy that it takes; None when nothing was ever kept.

    ``read`` raises ValueError for what it cannot use, and for all that is damaged: what it takes replaces the other copy.
    Errors: KeptDamaged.
    """
    because: Exception | None = None
    for each in copies(path):
        try:
            content = each.read_bytes()
            found = read(content)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as failure:
            _LOG.error("a kept file cannot be used", extra={"file": each.name})
            because = because if isinstance(because, OSError) else failure
        else:
            _put_right(path, content)
            return found
    if because is None:
        return None
    raise KeptDamaged(f"{path.name} and its spare copy cannot be used") from because


def _put_right(path: Path, content: bytes) -> None:
    """Whatever keeps a copy from being put right, the other one is there."""
    for each in copies(path):
        try:
            if not each.exists() or each.read_bytes() != content:
                replace_file(each, content)
        except OSError as failure:
            _LOG.warning("a copy cannot be put right", extra={"file": each.name, "cause": str(failure)})
