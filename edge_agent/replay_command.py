"""``beckon-agent replay``: a recording of advertisements in, what the agent would have seen out, as JSON lines."""

import argparse
import json
import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BufferedReader
from pathlib import Path
from types import FrameType

from edge_agent.adapters.advert_files import BrokenLine, read_adverts
from edge_agent.adapters.fingerprints_file import read_fingerprints
from edge_agent.adapters.inventory_yaml import read_inventory
from edge_agent.faults import ConfigurationWrong
from edge_agent.services.replaying import Replay, ambiguous_receivers
from engagement.estate.branch import Branch
from engagement.estate.inventory import Inventory

_DONE, _FAILED, _WRONG = 0, 1, 2
_STDIN = "-"
# More often than receivers hear anything; an accident of typing would fill a disk.
_STATE_EVERY_S_MIN = 0.01


class _Stopped(Exception):
    """A signal asked us to stop."""


def add_replay_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare ``replay`` among the agent's commands."""
    parser = commands.add_parser(
        "replay",
        help="what the agent would have seen in a recording",
        description="Read recorded advertisements (JSON lines or btsnoop) and print presence as JSON lines: enter, "
        "dwell, leave, zone and upkeep of the inventory's beacons, on the recording's own time.",
        epilog="Exit codes: 0 done, 1 lines were broken (each is named on stderr and skipped), 2 the call or a file "
        "is wrong.",
    )
    parser.add_argument("adverts", metavar="ADVERTS", help="the recording; - reads from standard input")
    parser.add_argument(
        "--inventory", required=True, type=Path, metavar="FILE", help="branches and their beacons (YAML)"
    )
    parser.add_argument(
        "--branch", metavar="CODE", help="which branch of the inventory, where it has several"
    )
    parser.add_argument("--fingerprints", type=Path, metavar="FILE", help="survey of the store (JSON)")
    parser.add_argument(
        "--speed",
        default="max",
        type=_speed,
        metavar="max|REAL",
        help="max (default), or how much faster than recorded: 1 is as recorded",
    )
    parser.add_argument(
        "--state-every",
        type=_state_every_s,
        metavar="S",
        help="print all present beacons each S seconds besides",
    )


def _speed(text: str) -> float:
    if text == "max":
        return math.inf
    speed = _number(text)
    if speed is None or speed <= 0:
        raise argparse.ArgumentTypeError(f"is {text!r}; allowed: max, or a number above 0")
    return speed


def _state_every_s(text: str) -> float:
    seconds = _number(text)
    if seconds is None or seconds < _STATE_EVERY_S_MIN:
        raise argparse.ArgumentTypeError(f"is {text!r}; allowed: seconds, at least {_STATE_EVERY_S_MIN}")
    return seconds


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def main_replay(args: argparse.Namespace) -> int:
    """Run the command; its exit code."""
    try:
        branch = _choose_branch(read_inventory(args.inventory), args.inventory, args.branch)
        for adapter in ambiguous_receivers(branch):
            _complain(
                f"note: several agents have a receiver {adapter!r}; the zone of the first one listed is taken"
            )
        fingerprints = None if args.fingerprints is None else read_fingerprints(args.fingerprints)
        replay = Replay(branch, fingerprints=fingerprints, state_every_s=args.state_every)
        with _opened(args.adverts) as stream, _stop_on_signals():
            n_broken = _play(replay, stream, speed=args.speed)
    except ConfigurationWrong as wrong:
        for complaint in wrong.complaints:
            _complain(complaint)
        return _WRONG
    except _Stopped:
        return _DONE
    except BrokenPipeError:
        # The reader has seen enough; nothing must be flushed into the closed pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _DONE
    return _FAILED if n_broken else _DONE


def _choose_branch(inventory: Inventory, path: Path, code: str | None) -> Branch:
    codes = [str(branch.code) for branch in inventory.branches]
    if code is None and len(codes) > 1:
        raise ConfigurationWrong(f"--branch is not given; allowed, as {path} has several: {', '.join(codes)}")
    if code is not None and code not in codes:
        raise ConfigurationWrong(f"--branch is {code!r}; allowed, by {path}: {', '.join(codes)}")
    return inventory.branches[0 if code is None else codes.index(code)]


@contextmanager
def _opened(name: str) -> Iterator[BufferedReader]:
    if name == _STDIN:
        assert isinstance(sys.stdin.buffer, BufferedReader)
        yield sys.stdin.buffer
        return
    with ExitStack() as closing:
        try:
            stream = closing.enter_context(Path(name).open("rb"))
        except OSError as failed:
            raise ConfigurationWrong(
                f"ADVERTS is {name!r}, which cannot be read: {failed.strerror}"
            ) from failed
        yield stream


@contextmanager
def _stop_on_signals() -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _Stopped

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _play(replay: Replay, stream: BufferedReader, *, speed: float) -> int:
    """Print everything; the number of broken lines."""
    n_broken = 0
    paced = _Pace(speed)
    for item in read_adverts(stream):
        if isinstance(item, BrokenLine):
            n_broken += 1
            _complain(str(item))
            continue
        paced.wait_for(item.t_s)
        for line in replay.take(item):
            _tell(line)
    for line in replay.finish():
        _tell(line)
    sys.stdout.flush()
    return n_broken


class _Pace:
    """Holds a replay back to the recording's own time, or a multiple of it."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._origin_s: float | None = None
        self._began_mono_s = 0.0

    def wait_for(self, t_s: float) -> None:
        if self._speed == math.inf:
            return
        if self._origin_s is None:
            self._origin_s, self._began_mono_s = t_s, time.monotonic()
        ahead_s = (t_s - self._origin_s) / self._speed - (time.monotonic() - self._began_mono_s)
        if ahead_s > 0:
            # Whoever watches sees everything up to now.
            sys.stdout.flush()
            time.sleep(ahead_s)


def _tell(line: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")


def _complain(text: str) -> None:
    print(f"beckon-agent: replay: {text}", file=sys.stderr)  # noqa: T201  # a command's own words go to its user
