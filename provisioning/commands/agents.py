"""``beckon agent``: lists HQ's agents, revokes lost ones and writes off dead ones."""

from collections.abc import Awaitable, Callable, Sequence

from engagement.ids import AgentName
from provisioning.adapters.terminal import say
from provisioning.commands.hq import FoundHq, HqOptions, found_hq
from provisioning.faults import WorkFailed


def list_all(options: HqOptions) -> None:
    """Errors: ConfigurationWrong, WorkFailed."""
    hq = found_hq(options)
    for each in hq.ask(hq.calls.agents_told()):
        ails = ", ".join(each.issues) or "-"
        say(
            f"{each.name}\t{each.branch}\t{each.state}\t{each.last_contact or 'never'}\t{each.backlog}\t{ails}"
        )
    if awaited := hq.ask(hq.calls.awaited()):
        say(
            "HQ was restored and gives out no rights until it has heard these, or they are written off, which is only for "
            f"those that are really gone: {', '.join(awaited)}"
        )


def revoke(names: Sequence[str], options: HqOptions) -> None:
    """Errors: ConfigurationWrong, WorkFailed."""
    hq = found_hq(options)
    _each(hq, names, hq.calls.revoke)
    say(f"HQ at {hq.url} hears no more of {', '.join(names)}, until a new claim code enrols it.")


def write_off(names: Sequence[str], options: HqOptions) -> None:
    """Errors: ConfigurationWrong, WorkFailed."""
    hq = found_hq(options)
    # A restored HQ may wait for agents that it does not know, if only because --also was mistyped.
    awaited = hq.ask(hq.calls.awaited())
    _each(hq, names, hq.calls.write_off, besides=awaited)
    say(f"What {', '.join(names)} had counts as spent at HQ at {hq.url}; nobody else can give it.")
    if unheard := [name for name in names if name in awaited]:
        say(
            f"HQ was restored and had not heard {', '.join(unheard)}: what was lent there after the backup is lent to others "
            "again, and paid for twice where it was given out."
        )


def _each(
    hq: FoundHq,
    names: Sequence[str],
    order: Callable[[AgentName], Awaitable[None]],
    besides: Sequence[AgentName] = (),
) -> None:
    """In the order of the call, none before all names are known, or among ``besides``. Errors: WorkFailed."""

    async def carry_out() -> None:
        known = {each.name for each in await hq.calls.agents_told()} | {str(each) for each in besides}
        unknown = [name for name in names if name not in known]
        if unknown:
            raise WorkFailed(f"nothing was done: HQ at {hq.url} knows no agent {', '.join(unknown)}")
        for name in names:
            await order(AgentName(name))

    hq.ask(carry_out())
