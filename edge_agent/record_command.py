"""``beckon-agent record``: what this machine's adapters hear, as JSON lines that replay and the recorded radio read.

Decides what of strangers' devices may reach a file: by default nothing that could tell one again tomorrow.
"""

import argparse
import asyncio
import hmac
import json
import math
import os
import secrets
import signal
import sys
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from edge_agent.adapters.log_lines import log_to_stderr
from edge_agent.ports import Radio, RadioLost
from engagement.advertisement.frames import AltBeacon, IBeacon, parse_structure
from engagement.advertisement.malformed import MalformedFrame
from engagement.advertisement.packet import Advertisement
from engagement.advertisement.structures import (
    FLAGS,
    UUIDS16_COMPLETE,
    Structure,
    cut_structures,
    join_structures,
)

_DONE, _FAILED, _WRONG = 0, 1, 2
# Advertisements waiting for the disk; ten seconds of a crowded shop.
WAITING_MAX: Final = 20_000
_EVERY_S: Final = 0.2
# What the longest frames take, company or service number included; bytes behind them are somebody's own.
_FRAME_BYTES_MAX: Final[dict[type, int]] = {IBeacon: 25, AltBeacon: 28}
_EDDYSTONE_BYTES_MAX: Final = 22
_EDDYSTONE: Final = b"\xaa\xfe"
# The two bits that say static, resolvable or not resolvable of a random address. Core 5.4, vol. 6, part B, 1.3.
_ADDRESS_TYPE_BITS: Final = 0xC0
_HELP = """\
Write down what the Bluetooth adapters of this machine hear, one JSON line for each advertisement, until --seconds are
over or the command is stopped (Ctrl-C). `beckon-agent replay` reads the file.

Privacy. Most of what is heard comes from the phones of people who were not asked. Unless --raw is given:
- each address is replaced by a keyed hash; the key exists only while this command runs, so the same device has the
  same pseudonym within one file and another in the next. The two bits that tell the kind of address are kept.
- of the contents only beacon frames are kept (iBeacon, AltBeacon, Eddystone UID, URL, EID and TLM) with the flags and
  the Eddystone service number that belong to them, because replay matches these with the inventory. Names, other
  makers' data and other services' data are left out: they can hold serial numbers and tracking keys.
- a tag that a member carries sends a beacon frame too, so the file still tells when that tag was near. Treat it so.
With --raw nothing is changed: keep such a file only as long as the fault that you look for needs it."""
_NO_ADAPTER = "there is no Bluetooth adapter, or no bluetoothd to ask; plug one in, or start it with: systemctl start bluetooth"


@dataclass
class Tally:
    recorded: int = 0
    dropped: int = 0


def add_record_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``record`` to the program's commands; ``main_record`` runs it."""
    parser = subparsers.add_parser(
        "record",
        help="write down what the Bluetooth adapters hear",
        description=_HELP,
        epilog="Exit codes: 0 done or stopped, 1 nothing could be heard or written, 2 the call is wrong.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--out", metavar="FILE", type=Path, help="file to write anew (default: standard output)"
    )
    parser.add_argument(
        "--adapter",
        metavar="NAME",
        action="append",
        help="adapter to listen with, as hci0 or by its address; may be repeated (default: the machine's first)",
    )
    parser.add_argument(
        "--seconds", metavar="N", type=_seconds, help="stop after this long (default: when stopped)"
    )
    parser.add_argument("--raw", action="store_true", help="keep addresses and contents as they were heard")


def main_record(args: argparse.Namespace) -> int:
    """Exit code: 0 done, 1 the work failed, 2 the call was wrong."""
    try:
        target = nullcontext(sys.stdout) if args.out is None else args.out.open("w", encoding="utf-8")
    except OSError as fault:
        return _say(
            _WRONG,
            f"--out is {args.out}, which cannot be written ({fault.strerror}); allowed: a writable file",
        )
    try:
        with target as out:
            return asyncio.run(_record_here(args, out))
    except BrokenPipeError:
        # Whoever read our output has had enough; without this Python would complain of it on the way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _DONE
    except OSError as fault:
        return _say(_FAILED, f"the recording cannot be written: {fault.strerror}")


async def _record_here(args: argparse.Namespace, out: TextIO) -> int:
    # bleak takes a moment to load, which the program's other commands need not wait for.
    from edge_agent.adapters.bluez_radio import BluezRadio
    from edge_agent.adapters.bluez_receiver import Limits
    from edge_agent.adapters.bluez_watch import find_adapter
    from edge_agent.adapters.clock import SystemClock

    log_to_stderr("WARNING")
    if not args.adapter and await find_adapter() is None:
        return _say(_FAILED, _NO_ADAPTER)
    # Somebody sits in front of this command: an adapter that they named is not replaced, nor waited for as long.
    limits = Limits(settle_s=math.inf, patience_s=5.0)
    radio = BluezRadio(args.adapter or (), clock=SystemClock(), limits=limits)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    change = _as_heard if args.raw else concealing(secrets.token_bytes(32))
    try:
        tally = await record(radio, out, change, stopped=stopped, seconds=args.seconds)
    except RadioLost as lost:
        return _say(_FAILED, lost.cause)
    dropped = f", {tally.dropped} dropped because the disk is too slow" if tally.dropped else ""
    _say(_DONE, f"{tally.recorded} advertisements recorded{dropped}")
    if tally.recorded == 0 and not radio.status.is_listening:
        return _say(_FAILED, radio.status.cause or "no adapter could listen")
    return _DONE


async def record(
    radio: Radio,
    out: TextIO,
    change: Callable[[Advertisement], Advertisement],
    *,
    stopped: asyncio.Event,
    seconds: float | None,
) -> Tally:
    """Write what the radio hears until it is stopped or the time is over; ``t`` counts from the first one.

    Errors: RadioLost; OSError when it cannot be written.
    """
    tally = Tally()
    waiting: deque[Advertisement] = deque()

    def take(advertisement: Advertisement) -> None:
        if len(waiting) >= WAITING_MAX:
            waiting.popleft()
            tally.dropped += 1
        waiting.append(advertisement)

    writer = _Writer(out, change, tally)
    trouble: Exception | None = None
    try:
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(radio.listen(take))
            await _write_until(stopped, seconds, lambda: writer.write(waiting))
            listening.cancel()
    except* (RadioLost, OSError) as several:
        trouble = several.exceptions[0]
    if not isinstance(trouble, OSError):
        writer.write(waiting)
    if trouble is not None:
        raise trouble
    return tally


async def _write_until(stopped: asyncio.Event, seconds: float | None, write: Callable[[], None]) -> None:
    try:
        async with asyncio.timeout(seconds):
            while not stopped.is_set():
                write()
                await _either(stopped, _EVERY_S)
    except TimeoutError:
        pass


class _Writer:
    def __init__(self, out: TextIO, change: Callable[[Advertisement], Advertisement], tally: Tally) -> None:
        self._out = out
        self._change = change
        self._tally = tally
        self._first_s: float | None = None

    def write(self, waiting: deque[Advertisement]) -> None:
        """Everything that waits, and to the disk, so that a power cut costs no more than a moment."""
        while waiting:
            advertisement = waiting.popleft()
            if self._first_s is None:
                self._first_s = advertisement.t_s
            advertisement = advertisement._replace(t_s=advertisement.t_s - self._first_s)
            self._out.write(format_line(self._change(advertisement)) + "\n")
            self._tally.recorded += 1
        self._out.flush()


def format_line(advertisement: Advertisement) -> str:
    """One advertisement as a JSON line of the outside contract, without the line end; time to the microsecond."""
    return json.dumps(
        {
            "t": round(advertisement.t_s, 6),
            "adapter": advertisement.adapter,
            "address": advertisement.address,
            "rssi": advertisement.rssi_dbm,
            "data": advertisement.data.hex(),
        }
    )


def concealing(key: bytes) -> Callable[[Advertisement], Advertisement]:
    """What takes a stranger's identity out of an advertisement; the same key gives the same pseudonyms."""

    def conceal(advertisement: Advertisement) -> Advertisement:
        address, data = _pseudonym(key, advertisement.address), beacon_frames_only(advertisement.data)
        return advertisement._replace(address=address, data=data)

    return conceal


def beacon_frames_only(data: bytes) -> bytes:
    """An advertisement's beacon frames, with the flags and the Eddystone service number that frame them."""
    return join_structures(kept for one in cut_structures(data) if (kept := _kept(one)) is not None)


def _kept(structure: Structure) -> Structure | None:
    """The structure without anything that a frame has no room for; None when it is no part of a frame."""
    kind, content = structure
    if kind == FLAGS:
        return Structure(FLAGS, content[:1])
    if kind == UUIDS16_COMPLETE:
        numbers = {content[i : i + 2] for i in range(0, len(content), 2)}
        return Structure(kind, _EDDYSTONE) if _EDDYSTONE in numbers else None
    try:
        frame = parse_structure(structure)
    except MalformedFrame:
        return None
    return (
        None
        if frame is None
        else Structure(kind, content[: _FRAME_BYTES_MAX.get(type(frame), _EDDYSTONE_BYTES_MAX)])
    )


def _pseudonym(key: bytes, address: str) -> str:
    octets = bytearray(hmac.digest(key, address.upper().encode(), "sha256")[:6])
    first = int(address[:2], 16)
    octets[0] = first & _ADDRESS_TYPE_BITS | octets[0] & ~_ADDRESS_TYPE_BITS
    return octets.hex(":").upper()


def _as_heard(advertisement: Advertisement) -> Advertisement:
    return advertisement


async def _either(stopped: asyncio.Event, wait_s: float) -> None:
    try:
        async with asyncio.timeout(wait_s):
            await stopped.wait()
    except TimeoutError:
        pass


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"is {text!r}; allowed: a number of seconds above 0")
    return seconds


def _say(code: int, sentence: str) -> int:
    print(f"beckon-agent: record: {sentence}", file=sys.stderr)  # noqa: T201  # a command's own words go to its user
    return code
