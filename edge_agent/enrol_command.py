"""``beckon-agent enrol``: puts a claim code where the running agent looks for one."""

import argparse
import sys
from pathlib import Path

from edge_agent.adapters.durable_file import replace_file
from edge_agent.config import Settings
from engagement.line.claim import MalformedClaim, parse_claim


def add_enrol_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "enrol",
        help="make this mini-PC a store's agent by a claim code",
        description="Hand a claim code of HQ's (`beckon enrol --print`) to the agent of this mini-PC, which uses it within "
        "seconds, or at its next start. /health says what became of it.",
    )
    parser.add_argument(
        "code", metavar="CODE", help="as HQ printed it; letters in any case, spaces and hyphens anywhere"
    )
    parser.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="the agent's settings (TOML)"
    )


def main_enrol(args: argparse.Namespace, settings: Settings) -> int:
    """Exit codes: 0 the code was put there, 1 it cannot be kept, 2 it is none."""
    try:
        parse_claim(args.code)
    except MalformedClaim as malformed:
        return _say(f"beckon-agent: enrol: {malformed}", 2)
    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(settings.claim_path, args.code.strip().encode())
    except OSError as failure:
        return _say(f"beckon-agent: enrol: {settings.claim_path}: {failure.strerror}", 1)
    return _say(f"The code waits in {settings.claim_path}; the agent uses it as soon as it runs.", 0)


def _say(text: str, code: int) -> int:
    print(text, file=sys.stderr if code else sys.stdout)  # a command's own words go to its user
    return code
