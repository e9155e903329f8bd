"""``beckon campaign``: checks campaign files, and publishes, stops and lists campaigns at HQ."""

from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path

from engagement.campaign.model import Campaign
from engagement.estate.estate import Change
from engagement.ids import CampaignId
from provisioning.adapters.terminal import say
from provisioning.adapters.yaml_files import read_campaigns
from provisioning.commands.hq import HqOptions, found_hq
from provisioning.faults import ConfigurationWrong, WorkFailed
from provisioning.services.applying import Applying, NoSecrets


def list_shipped() -> None:
    with as_file(files("provisioning.shipped") / "campaigns") as folder:
        paths = sorted(folder.glob("*.yaml"))
        for path, found in zip(paths, read_campaigns(paths), strict=True):
            say(f"{path}\t{found.id}\tedition {found.edition}\t{found.trigger.on}\t{found.name}")


def list_at_hq(options: HqOptions) -> None:
    """Errors: ConfigurationWrong, WorkFailed."""
    hq = found_hq(options)
    for each in hq.ask(hq.calls.campaigns()):
        say(f"{each.id}\tedition {each.edition}\t{each.trigger}\t{each.state}\t{each.name}")


def check(paths: Sequence[Path]) -> None:
    """Errors: ConfigurationWrong."""
    for path, found in zip(paths, read_campaigns(paths), strict=True):
        say(f"{path}: {found.id} edition {found.edition} is right")


def publish(paths: Sequence[Path], options: HqOptions) -> None:
    """Errors: ConfigurationWrong, WorkFailed."""
    campaigns = read_campaigns(paths)
    hq = found_hq(options)
    applying = Applying(hq.calls, NoSecrets())
    try:
        plan = hq.ask(applying.plan_of_campaigns(campaigns))
    except ConfigurationWrong as wrong:
        at = ((file_of(text, paths, campaigns), text) for text in wrong.complaints)
        raise ConfigurationWrong(*(f"{file}: {text}" if file else text for file, text in at)) from wrong
    if plan.is_empty:
        say(f"Nothing to publish: HQ at {hq.url} has these editions.")
        return
    say("\n".join(plan.lines))
    revision = hq.ask(hq.calls.change(Change(base=plan.base, steps=plan.steps)))
    say(f"Done: HQ is at revision {revision}.")


def file_of(complaint: str, paths: Sequence[Path], campaigns: Sequence[Campaign]) -> Path | None:
    """Of the campaign that HQ complains of; None where it is about something else. ``paths``: of ``campaigns``."""
    files = zip(paths, campaigns, strict=True)
    return next((path for path, each in files if complaint.startswith(f"campaign {each.id!r} ")), None)


def stop(campaign: str, *, honour_issued: bool, options: HqOptions) -> None:
    """Errors: ConfigurationWrong, WorkFailed."""
    hq = found_hq(options)
    stopped = hq.ask(hq.calls.stop(CampaignId(campaign), honour_issued=honour_issued))
    coupons = (
        "those given out are still redeemed"
        if stopped.honours_issued
        else "those given out are not redeemed either"
    )
    say(
        f"HQ at {hq.url} (revision {stopped.revision}) has stopped {campaign} for good: no more coupons, and {coupons}."
    )
    if honour_issued and not stopped.honours_issued:
        raise WorkFailed("--honour-issued came too late: the campaign was stopped without it before")
