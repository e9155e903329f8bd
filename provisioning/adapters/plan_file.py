"""A plan kept in a file, to be looked at by others before it is applied. It holds no secret.

What people read in it are its lines, and what is carried out are its steps: a digest over all of it tells when somebody
has changed the one without the other. That is against slips; who may apply may also write another plan.
"""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from engagement.estate.planning import Plan
from engagement.values import Value
from provisioning.adapters.home_files import write_private
from provisioning.faults import ConfigurationWrong

_KIND = "beckon plan"
_VERSION = 1


class PlanFile(Value):
    """``hq``: the address of the HQ that it was made against; ``secrets``: where the desk keeps those of the chain."""

    kind: Literal["beckon plan"] = "beckon plan"
    version: Literal[1] = 1
    hq: str
    secrets: str
    plan: Plan


def write_plan(path: Path, plan: PlanFile) -> None:
    """Errors: WorkFailed."""
    text = plan.model_dump_json(indent=1)
    whole = text.removesuffix("\n}") + f',\n "digest": "{_digest(json.loads(text))}"\n}}\n'
    write_private(path, whole.encode())


def read_plan(path: Path) -> PlanFile | None:
    """None when the file is none of a plan, but may be an inventory. Errors: ConfigurationWrong when it cannot be used."""
    try:
        text = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as failed:
        raise ConfigurationWrong(f"{path}: cannot be read: {failed.strerror}") from failed
    if not text.lstrip().startswith(b"{") or f'"{_KIND}"'.encode() not in text:
        return None
    try:
        content = json.loads(text)
        is_of_this_version = content["version"] == _VERSION and "digest" in content
    except (ValueError, RecursionError, KeyError, TypeError) as damaged:
        raise ConfigurationWrong(f"{path}: this plan is damaged; make it again") from damaged
    if not is_of_this_version:
        raise ConfigurationWrong(f"{path}: another version of beckon made this plan; make it again")
    if content.pop("digest") != _digest(content):
        raise ConfigurationWrong(f"{path}: this plan was changed since it was made; make it again")
    try:
        return PlanFile.model_validate(content)
    except ValidationError as strange:
        raise ConfigurationWrong(
            f"{path}: another version of beckon made this plan; make it again"
        ) from strange


def _digest(content: dict[str, Any]) -> str:
    """Whatever the order and the space between."""
    return sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
