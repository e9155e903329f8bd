"""``beckon plan`` and ``beckon apply``: what would change at HQ, and the change itself, whole or not at all."""

import gc
from collections.abc import Sequence
from pathlib import Path

from engagement.estate.branch import Branch
from engagement.estate.planning import Plan, Wanted
from engagement.ids import BranchCode
from provisioning.adapters.plan_file import PlanFile, read_plan, write_plan
from provisioning.adapters.secrets_file import SecretsFile, secrets_beside
from provisioning.adapters.terminal import say
from provisioning.adapters.yaml_files import Written, read_chain
from provisioning.commands.campaigns import file_of
from provisioning.commands.hq import FoundHq, HqOptions, found_hq
from provisioning.faults import ConfigurationWrong
from provisioning.services.applying import Applying

# About as many as somebody waits for without wondering.
_MANY_PINS = 50


def plan(
    inventory: Path, *, options: HqOptions, out: Path | None, secrets: Path | None, renewed: Sequence[str]
) -> None:
    """Errors: ConfigurationWrong, WorkFailed."""
    # A large chain is millions of values that all stay until the end; looking for garbage among them takes as long as
    # all the rest.
    gc.disable()
    written = read_chain(inventory)
    hq, kept = found_hq(options), SecretsFile(secrets or secrets_beside(inventory))
    made = _plan_of(inventory, written, hq, kept, renewed)
    _tell(made, hq.url)
    if out is not None:
        write_plan(out, PlanFile(hq=hq.url, secrets=str(kept.path.resolve()), plan=made))
        say(f"Kept in {out}; to carry it out: beckon apply {out}")
    elif not made.is_empty:
        say(f"To carry it out: beckon apply {inventory}")


def apply(path: Path, *, options: HqOptions, secrets: Path | None, renewed: Sequence[str]) -> None:
    """``path``: of an inventory or of a plan. Errors: ConfigurationWrong, WorkFailed."""
    gc.disable()
    kept_plan = read_plan(path)
    if kept_plan is not None:
        _apply_plan(path, kept_plan, options, secrets, renewed)
        return
    written = read_chain(path)
    hq, kept = found_hq(options), SecretsFile(secrets or secrets_beside(path))
    with kept.turn():
        made = _plan_of(path, written, hq, kept, renewed)
        _tell(made, hq.url)
        _carry_out(made, hq, kept)


def _apply_plan(
    path: Path, found: PlanFile, options: HqOptions, secrets: Path | None, renewed: Sequence[str]
) -> None:
    if renewed:
        raise ConfigurationWrong("--renew goes with an inventory; a plan has all that it changes in it")
    hq = found_hq(options)
    if hq.url != found.hq:
        raise ConfigurationWrong(
            f"{path} was made against HQ at {found.hq}, and HQ is at {hq.url} here; allowed: that one, or a new plan"
        )
    kept = SecretsFile(secrets or Path(found.secrets))
    with kept.turn():
        _tell(found.plan, hq.url)
        _carry_out(found.plan, hq, kept)


def _plan_of(path: Path, written: Written, hq: FoundHq, kept: SecretsFile, renewed: Sequence[str]) -> Plan:
    inventory = written.inventory
    # What is wrong with it is no complaint about the inventory.
    kept.read()
    _check_renewed(path, inventory.branches, renewed)
    wanted = Wanted(
        branches=inventory.branches,
        members=[member.id for member in inventory.members],
        campaigns=written.campaigns,
        renewed=frozenset(BranchCode(code) for code in renewed),
    )
    try:
        return hq.ask(Applying(hq.calls, kept).plan(wanted))
    except ConfigurationWrong as wrong:
        files, campaigns = written.campaign_files, written.campaigns or ()
        raise ConfigurationWrong(
            *(
                f"{file_of(complaint, files, campaigns) or path}: {complaint}"
                for complaint in wrong.complaints
            )
        ) from wrong


def _check_renewed(path: Path, branches: Sequence[Branch], renewed: Sequence[str]) -> None:
    unknown = sorted(set(renewed) - {branch.code for branch in branches})
    if unknown:
        raise ConfigurationWrong(
            *(f"--renew is {code!r}; allowed: the code of a branch of {path}" for code in unknown)
        )


def _tell(made: Plan, url: str) -> None:
    if made.is_empty:
        say(f"Nothing to change: HQ at {url} (revision {made.base}) wants what is written.")
    else:
        say("\n".join((f"HQ at {url} (revision {made.base}):", *(f"  {line}" for line in made.lines))))
    if made.notes:
        say("\n".join(("Besides:", *(f"  {note}" for note in made.notes))))


def _carry_out(made: Plan, hq: FoundHq, kept: SecretsFile) -> None:
    if made.is_empty:
        return
    if len(made.lacks) > _MANY_PINS:
        say(
            f"Drawing secrets for {len(made.lacks)} branches; each PIN takes a core 50 ms, once and for all ..."
        )
    revision = hq.ask(Applying(hq.calls, kept).apply(made))
    if made.lacks or made.members_lacking:
        say(f"New secrets are in {kept.path}; HQ has their hashes alone, so keep it safe.")
    say(f"Done: HQ is at revision {revision}.")
