"""Which HQ a command means, and who one is there.

Decides where that is looked for: first the call, then the environment, then the folder of a `beckon up`, which has it all.
"""

import asyncio
import sys
import tomllib
from collections.abc import Coroutine
from dataclasses import dataclass
from getpass import getpass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from provisioning.adapters.home import Home
from provisioning.adapters.hq_calls import HqCalls, trust_in
from provisioning.config import HqSettings, hq_settings
from provisioning.faults import ConfigurationWrong, WorkFailed
from provisioning.ports import HqMoved, HqRefused, HqSilent, HqUnable
from provisioning.services.seeding import HQ_USER

A = TypeVar("A")
_DEFAULT_HOME = Path(".beckon")


@dataclass(frozen=True, slots=True)
class HqOptions:
    """As given on the command line."""

    url: str | None = None
    ca_file: Path | None = None
    home: Path | None = None


class FoundHq(NamedTuple):
    """``home``: None where it is not that of a `beckon up` here."""

    url: str
    calls: HqCalls
    home: Path | None = None

    def ask(self, work: Coroutine[Any, Any, A]) -> A:
        """Run it to its end. Errors: WorkFailed, with what to do."""
        try:
            return asyncio.run(work)
        except HqMoved as moved:
            raise WorkFailed(
                f"nothing was changed: HQ's estate has moved on since the plan was made, to revision {moved.revision}; "
                "plan again"
            ) from moved
        except HqRefused as refused:
            raise WorkFailed(f"HQ at {self.url} refuses: {refused}") from refused
        except HqUnable as unable:
            raise WorkFailed(f"HQ at {self.url} cannot do that now: {unable}") from unable
        except HqSilent as silent:
            hint = f"; is `beckon up` running on {self.home}?" if self.home is not None else ""
            raise WorkFailed(f"HQ at {self.url} cannot be reached: {silent}{hint}") from silent


def found_hq(options: HqOptions) -> FoundHq:
    """Errors: ConfigurationWrong."""
    settings = hq_settings()
    if options.url is not None and options.home is not None:
        raise ConfigurationWrong("--hq and --home both say which HQ is meant; allowed: one of them")
    url = options.url or (settings.hq_url if options.home is None else None)
    if url is not None:
        return _remote(url, options, settings)
    home = options.home or settings.home or (_DEFAULT_HOME if _DEFAULT_HOME.is_dir() else None)
    if home is None:
        raise ConfigurationWrong(
            "it is not known which HQ is meant; allowed: --hq URL or BECKON_HQ_URL; or --home FOLDER, that of a `beckon "
            "up`, which is not needed where ./.beckon is one"
        )
    return _at_home(home.expanduser().resolve())


def _remote(url: str, options: HqOptions, settings: HqSettings) -> FoundHq:
    parts = urlsplit(url)
    try:
        is_right = parts.scheme == "https" and bool(parts.hostname) and parts.path in ("", "/")
        is_right = is_right and not (parts.query or parts.fragment or parts.username) and parts.port != 0
    except ValueError:
        is_right = False
    if not is_right:
        raise ConfigurationWrong(f"HQ's address is {url!r}; allowed: https://HOST or https://HOST:PORT")
    ca_file = options.ca_file or settings.hq_ca
    if ca_file is not None and not ca_file.is_file():
        raise ConfigurationWrong(
            f"--hq-ca is {str(ca_file)!r}, where no file is; allowed: a certificate in PEM"
        )
    try:
        trust_in(ca_file)
    except OSError as unreadable:
        raise ConfigurationWrong(
            f"--hq-ca is {str(ca_file)!r}, which is none; allowed: a certificate in PEM"
        ) from unreadable
    user = settings.hq_user or _asked("HQ's user: ", "BECKON_HQ_USER", is_secret=False)
    password = settings.hq_password or _asked(f"Password of {user}: ", "BECKON_HQ_PASSWORD", is_secret=True)
    url = url.rstrip("/")
    return FoundHq(url, HqCalls(url=url, ca_file=ca_file, user=user, password=password))


def _asked(question: str, variable: str, *, is_secret: bool) -> str:
    if not sys.stdin.isatty():
        raise ConfigurationWrong(
            f"{variable} is not set, and there is no terminal to ask at; allowed: set it"
        )
    try:
        return getpass(question) if is_secret else input(question)
    except (EOFError, KeyboardInterrupt) as gone:
        raise ConfigurationWrong(f"{variable} was not given") from gone


def _at_home(folder: Path) -> FoundHq:
    home = Home(folder)
    try:
        written = tomllib.loads(home.cloud_settings_file.read_text(encoding="utf-8"))
        url = f"https://{written['address']}:{written['port']}"
    except (OSError, tomllib.TOMLDecodeError, KeyError) as strange:
        raise ConfigurationWrong(
            f"{folder} is not the folder of a `beckon up`; allowed: --home FOLDER of one, or --hq URL"
        ) from strange
    password = home.read_secrets().hq_password
    return FoundHq(url, HqCalls(url=url, ca_file=home.ca_file, user=HQ_USER, password=password), folder)
