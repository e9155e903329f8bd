"""A plan kept in a file, to be looked at by others before it is applied. It holds no secret."""

from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from engagement.estate.planning import Plan
from engagement.values import Value
from provisioning.adapters.home_files import write_private
from provisioning.faults import ConfigurationWrong


class PlanFile(Value):
    """``hq``: the address of the HQ that it was made against; ``secrets``: where the desk keeps those of the chain."""

    kind: Literal["beckon plan"] = "beckon plan"
    version: Literal[1] = 1
    hq: str
    secrets: str
    plan: Plan


def write_plan(path: Path, plan: PlanFile) -> None:
    """``kind`` comes first, by which it is known. Errors: WorkFailed."""
    write_private(path, plan.model_dump_json(indent=1).encode())


def read_plan(path: Path) -> PlanFile | None:
    """None when the file is none of a plan, but may be an inventory. Errors: ConfigurationWrong when it is damaged."""
    try:
        content = path.read_bytes()
    except OSError as failed:
        raise ConfigurationWrong(f"{path}: cannot be read: {failed.strerror}") from failed
    if not content[:200].lstrip().startswith(b"{") or b'"beckon plan"' not in content[:200]:
        return None
    try:
        return PlanFile.model_validate_json(content)
    except ValidationError as damaged:
        raise ConfigurationWrong(f"{path}: this plan is damaged; make it again") from damaged
