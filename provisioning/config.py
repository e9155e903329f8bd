"""Settings of ``beckon``, read from the environment; docs/configuration.md lists them."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from provisioning.faults import ConfigurationWrong

CLOUD_OFFSET = 0
GUEST_HTTP_OFFSET = 10
GUEST_HTTPS_OFFSET = 11
STAFF_HTTPS_OFFSET = 12
BASE_PORT_MAX = 65_535 - STAFF_HTTPS_OFFSET


def _named(value: object) -> object:
    # An empty path means the folder one happens to be in, which nobody wants filled with keys.
    if value == "":
        raise ValueError("is empty")
    return value


class UpSettings(BaseSettings):
    """Where one whole store on this machine lives."""

    model_config = SettingsConfigDict(env_prefix="BECKON_", frozen=True)

    home: Annotated[
        Path,
        BeforeValidator(_named),
        Field(description="Folder of all state: keys, bundle, ledger, recording, logs."),
    ] = Path(".beckon")
    port: Annotated[
        int,
        Field(
            ge=1,
            le=BASE_PORT_MAX,
            description="The base of the ports: HQ is on it, guest http 10 above it, guest https 11, staff https 12.",
        ),
    ] = 8600


def up_settings() -> UpSettings:
    """Errors: ConfigurationWrong naming the variable, its value and what is allowed."""
    try:
        return UpSettings()
    except ValidationError as wrong:
        allowed = {
            "port": f"a whole number from 1 to {BASE_PORT_MAX}",
            "home": "the path of a folder",
        }
        raise ConfigurationWrong(
            *(
                f"BECKON_{str(error['loc'][0]).upper()} is {error['input']!r}; allowed: "
                f"{allowed[str(error['loc'][0])]}"
                for error in wrong.errors()
            )
        ) from wrong


class HqSettings(BaseSettings):
    """Which HQ commands mean, and who one is there, where the call does not say."""

    model_config = SettingsConfigDict(env_prefix="BECKON_", frozen=True, env_ignore_empty=True)

    hq_url: Annotated[
        str | None, Field(description="HQ's address, as `https://hq.example:8600`; `--hq` outranks it.")
    ] = None
    hq_ca: Annotated[
        Path | None,
        Field(description="The authority that signed HQ's certificate (PEM), where the system knows none."),
    ] = None
    hq_user: Annotated[str | None, Field(description="Who signs in; asked for where it is not set.")] = None
    hq_password: Annotated[str | None, Field(description="As above.")] = None
    home: Annotated[
        Path | None,
        Field(description="The folder of a `beckon up` whose HQ is meant, where no address is given."),
    ] = None


def hq_settings() -> HqSettings:
    """Any text will do for all of them; what it means is checked where it is used."""
    return HqSettings()
