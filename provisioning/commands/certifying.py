"""``beckon hq certify`` and ``beckon hq tls``: HQ's sealing key and its TLS key, certified by the desk's root."""

from datetime import UTC, datetime
from pathlib import Path

from provisioning.adapters.certificates import FolderRoot, certify_server
from provisioning.adapters.home import Home
from provisioning.adapters.home_files import make_private_folder
from provisioning.adapters.hq_calls import is_vouched_for
from provisioning.adapters.terminal import complain, say
from provisioning.commands.hq import HqOptions, found_hq
from provisioning.faults import ConfigurationWrong, WorkFailed
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
    if not is_vouched_for(hq.url, folder / "ca.pem"):
        complain(
            f"But HQ's TLS certificate is not of that root, and new boxes know HQ by it: sign its request with `beckon hq tls "
            f"--root {folder}`, put what that writes into its tls_certificate, and start the cloud again."
        )


def certify_tls(request: Path, *, root: Path, out: Path) -> None:
    """Errors: ConfigurationWrong, WorkFailed."""
    try:
        request_pem = request.read_bytes()
    except OSError as failure:
        raise ConfigurationWrong(f"{request}: {failure.strerror}; allowed: a request in PEM") from failure
    make_private_folder(root)
    try:
        made = certify_server(root, request_pem, now=datetime.now(UTC))
    except ConfigurationWrong as wrong:
        raise ConfigurationWrong(*(f"{request}: {complaint}" for complaint in wrong.complaints)) from wrong
    try:
        out.write_text(made.chain_pem, encoding="ascii")
    except OSError as failure:
        raise WorkFailed(f"{out} cannot be written: {failure.strerror}") from failure
    say(
        f"{out} certifies {', '.join(made.names)}, with the root in {root} behind it; it is HQ's tls_certificate."
    )
