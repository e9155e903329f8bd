"""The file of a chain's secrets beside its inventory, and one plan at a time being carried out with it."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from provisioning.adapters.home_files import read_private, write_private
from provisioning.faults import ConfigurationWrong, WorkFailed
from provisioning.services.chain_secrets import ChainSecrets

# What a colleague's change of a large chain may take.
_TURN_S_MAX = 300.0


class SecretsFile:
    """``path``: as people name it. Where it is a link, what it leads to is replaced, which may be on a disk chosen for it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._real = Path(os.path.realpath(path))

    def read(self) -> ChainSecrets:
        """Empty where there is none. Errors: WorkFailed; ConfigurationWrong when it is damaged."""
        content = read_private(self._real)
        if content is None:
            return ChainSecrets()
        try:
            return ChainSecrets.model_validate_json(content)
        except ValidationError as damaged:
            raise ConfigurationWrong(
                f"{self.path} is no file of secrets; move it away, and what HQ knows already stays in force"
            ) from damaged

    def write(self, known: ChainSecrets) -> None:
        write_private(self._real, known.model_dump_json(indent=2).encode())

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Only one at a time draws secrets for this file. Errors: WorkFailed when another takes too long."""
        try:
            folder = os.open(self._real.parent, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as refused:
            raise WorkFailed(f"cannot open the folder {self._real.parent}: {refused.strerror}") from refused
        try:
            _lock(folder, self.path)
            yield
        finally:
            os.close(folder)


def _lock(folder: int, path: Path) -> None:
    deadline_mono_s = time.monotonic() + _TURN_S_MAX
    while True:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline_mono_s:
                raise WorkFailed(
                    f"another `beckon apply` has been at work with {path} for long; wait for it, then apply again"
                ) from None
            time.sleep(0.05)
        else:
            return


def secrets_beside(inventory: Path) -> Path:
    return inventory.with_name(f"{inventory.name}.secrets.json")
