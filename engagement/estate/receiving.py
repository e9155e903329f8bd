"""Whether an agent takes a bundle that says it is HQ's: sealed under its root, its own, newer, and for the same store.

Where it came from does not matter; keeping it and working from it is the agent's business. A store is not moved by a
bundle: agent, branch and number stand in coupons that are already in wallets.
"""

from engagement.estate.bundle import Bundle
from engagement.ids import AgentName
from engagement.line.seal import SealKind, SealRefused, open_seal, reopen_seal


class BundleUnfit(ValueError):
    """The bundle is not taken; the text says why, for the person in the store and for HQ."""

    code = "bundle_refused"


def receive(
    text: str, *, root_pem: str, agent: AgentName, present: Bundle | None = None, above: int = 0
) -> Bundle:
    """The bundle that a sealed text holds.

    ``present``: what the agent works from, whoever made it; ``above``: the sequence of HQ's last one that it took.
    Errors: BundleUnfit.
    """
    try:
        payload = open_seal(text, SealKind.BUNDLE, root_pem=root_pem)
    except SealRefused as refused:
        raise BundleUnfit(f"it is not HQ's ({refused})") from refused
    bundle = _read(payload)
    if bundle.agent != agent:
        raise BundleUnfit(f"it is for agent {bundle.agent!r}, this is {agent!r}")
    if bundle.sequence <= above:
        raise BundleUnfit(f"it is not newer: its sequence is {bundle.sequence}, and {above} was taken before")
    if present is not None:
        _check_same_store(bundle, present)
    return bundle


def reread(text: str) -> Bundle:
    """The bundle that was received once and kept since. Errors: BundleUnfit.

    Who vouched for it was judged then; a root that was lost or replaced since makes the store no other one.
    """
    try:
        return _read(reopen_seal(text, SealKind.BUNDLE))
    except SealRefused as refused:
        raise BundleUnfit(f"it is damaged ({refused})") from refused


def _read(payload: str) -> Bundle:
    """Errors: BundleUnfit."""
    try:
        return Bundle.model_validate_json(payload)
    except ValueError as invalid:
        raise BundleUnfit("this version of the agent cannot read it") from invalid


def _check_same_store(bundle: Bundle, present: Bundle) -> None:
    """Errors: BundleUnfit."""
    for what, new, old in (
        ("branch", bundle.branch.code, present.branch.code),
        ("agent number", bundle.agent_number, present.agent_number),
    ):
        if new != old:
            raise BundleUnfit(
                f"its {what} is {new!r}, this store's is {old!r}; a mini-PC that moves is set up anew, with an empty "
                "home"
            )
