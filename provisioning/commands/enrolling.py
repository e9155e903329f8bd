"""``beckon enrol``: a new box becomes an agent, found on the network, at an address, or by a code that somebody types."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from engagement.ids import AgentName, BranchCode
from engagement.line.setup import is_fingerprint
from provisioning.adapters.box_calls import BoxCalls
from provisioning.adapters.lan import find_new_boxes
from provisioning.adapters.terminal import complain, say
from provisioning.commands.hq import FoundHq, HqOptions, found_hq
from provisioning.faults import ConfigurationWrong, WorkFailed
from provisioning.services.claiming import Claiming, FoundBox, MeantBox

# The agent's own default for its staff side.
_HTTPS_PORT = 8612


@dataclass(frozen=True, slots=True)
class EnrolOptions:
    """As given on the command line: ``at`` HOST:PORT, ``box`` a fingerprint, ``prints`` the code instead of sending it."""

    at: str | None = None
    box: str | None = None
    prints: bool = False
    replaces: bool = False


def enrol(branch: str, agent: str, *, options: EnrolOptions, hq: HqOptions) -> None:
    """Errors: ConfigurationWrong, WorkFailed."""
    if options.prints and (options.at is not None or options.box is not None):
        raise ConfigurationWrong("--print sends the code nowhere; allowed: without --at and --box")
    if options.box is not None:
        _check_fingerprint("--box", options.box)
    at = None if options.at is None else _address(options.at)
    code, name, found = BranchCode(branch), AgentName(agent), found_hq(hq)
    if not options.replaces and found.ask(found.calls.enrolled_key(name)) is not None:
        raise ConfigurationWrong(
            f"{agent} is enrolled at HQ already, and its machine would count no more; allowed: --replace, or another agent"
        )
    if options.prints:
        _print(found.ask(found.calls.claim_code(code, name)), agent)
        return
    claiming = Claiming(found.calls, BoxCalls(), os.urandom)
    meant = _meant(claiming, [at] if at is not None else _on_the_network(found), options.box, found)
    say(f"Enrolling the box at {meant.box} as {agent} of {branch} ...")
    found.ask(claiming.enrol(code, name, meant))
    say(f"Done: {agent} is enrolled, and its key has the fingerprint {meant.fingerprint}.")


def _print(claim_code: str, agent: str) -> None:
    """The code alone goes to standard output, for whoever pipes it on."""
    complain(
        f"Put this code into the claim file of {agent}'s machine, or type: beckon-agent enrol CODE. It counts once, for 7 "
        "days; whoever has it can be that agent."
    )
    say(claim_code)


def _address(text: str) -> FoundBox:
    """Errors: ConfigurationWrong."""
    parts = urlsplit(f"//{text}")
    try:
        host, port = parts.hostname, parts.port
        is_right = bool(host) and parts.netloc == text and not parts.username and port != 0
    except ValueError:
        host, port, is_right = None, None, False
    if not is_right or host is None:
        raise ConfigurationWrong(f"--at is {text!r}; allowed: HOST or HOST:PORT")
    return FoundBox(host, port or _HTTPS_PORT)


def _on_the_network(found: FoundHq) -> list[FoundBox]:
    say("Looking for new boxes on the network ...")
    boxes = found.ask(find_new_boxes())
    if not boxes:
        raise WorkFailed(
            "no new box is announced on this network; is it switched on, and on the staff network? Give --at HOST:PORT, or "
            "--print for a code to type"
        )
    return boxes


def _meant(
    claiming: Claiming, boxes: Sequence[FoundBox], fingerprint: str | None, found: FoundHq
) -> MeantBox:
    """The box that the person means; they compare, the program checks. Errors: ConfigurationWrong, WorkFailed."""
    if fingerprint is None:
        fingerprint = _asked([_shown(claiming, box, found) for box in boxes])
        _check_fingerprint("the fingerprint", fingerprint)
    return found.ask(claiming.meant(boxes, fingerprint))


def _check_fingerprint(what: str, typed: str) -> None:
    """Before anything is looked for: a slip is none of the box's. Errors: ConfigurationWrong."""
    if not is_fingerprint(typed):
        raise ConfigurationWrong(
            f"{what} is {typed!r}; allowed: the 8 letters and digits that the box itself shows, as in 7K2M-Q9XB"
        )


def _shown(claiming: Claiming, box: FoundBox, found: FoundHq) -> str:
    fingerprint = box.fingerprint or found.ask(claiming.fingerprint_at(box))
    return f"  {fingerprint}  at {box}"


def _asked(lines: Sequence[str]) -> str:
    """What the person reads on the box itself: typed, so that it is really compared. Errors: ConfigurationWrong."""
    say("\n".join(("New boxes, by what they say:", *lines)))
    if not sys.stdin.isatty():
        raise ConfigurationWrong(
            "--box is not given, and there is no terminal to ask at; allowed: the fingerprint that the box itself shows"
        )
    try:
        typed = input(
            "Type the fingerprint that the box itself shows (its log at the start, its health page): "
        )
    except (EOFError, KeyboardInterrupt):
        typed = ""
    if not typed.strip():
        raise ConfigurationWrong("no fingerprint was given; nothing was done")
    return typed.strip()
