"""``beckon hq certify``: HQ's sealing key, signed by the desk's root."""

from pathlib import Path

from provisioning.adapters.certificates import FolderRoot
from provisioning.adapters.home import Home
from provisioning.adapters.terminal import say
from provisioning.commands.hq import HqOptions, found_hq
from provisioning.faults import ConfigurationWrong
from provisioning.services.certifying import certify


def certify_hq(options: HqOptions, *, root: Path | None, replace_root: bool) -> None:
    """``root``: the folder of the root; that of the home where none is named. Errors: ConfigurationWrong, WorkFailed."""
    hq = found_hq(options)
    folder = root or (Home(hq.home).tls_folder if hq.home is not None else None)
    if folder is None:
        raise ConfigurationWrong("--root is not given; allowed: the folder of ca.pem and ca-key.pem")
    if hq.ask(certify(hq.calls, FolderRoot(folder), replace_root=replace_root)):
        say(f"HQ at {hq.url} is certified by the root in {folder}.")
    else:
        say(f"Nothing to do: HQ at {hq.url} is certified by the root in {folder}.")
