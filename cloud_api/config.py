"""The cloud's settings: each key with its unit, its default and its reason. Read from a TOML file and BECKON_CLOUD_*.

docs/configuration.md lists the same keys; a test keeps the two equal.
"""

from errno import ENOENT
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

Port = Annotated[int, Field(ge=1, le=65535)]
HttpsUrl = Annotated[str, StringConstraints(pattern=r"^https://[^/\s]+$")]


class Settings(BaseSettings):
    """Everything that may differ between two installations of the same version."""

    model_config = SettingsConfigDict(env_prefix="BECKON_CLOUD_", extra="forbid", frozen=True)

    home: Annotated[Path, Field(description="Folder of the database; made when missing.")]
    users: Annotated[
        Path,
        Field(description="Who may sign in: the file that `beckon-cloud user` writes; read at the start."),
    ]
    address: Annotated[str, Field(description="Address that agents and HQ's browsers reach.")] = "127.0.0.1"
    port: Annotated[Port, Field(description="The one listener: agents, console and API.")] = 8600
    public_url: Annotated[
        HttpsUrl | None,
        Field(
            description="The address as agents call it, where a proxy stands before the cloud and changes the Host header."
        ),
    ] = None
    tls_certificate: Annotated[Path, Field(description="Certificate chain (PEM).")]
    tls_key: Annotated[Path, Field(description="Its private key (PEM).")]
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], Field(description="Least severity that is logged.")
    ] = "INFO"


def load_settings(path: Path) -> Settings:
    """Read a TOML file; environment variables outrank it.

    Errors: OSError when the file cannot be read; tomllib.TOMLDecodeError; pydantic.ValidationError.
    """

    class FromFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return (env_settings, TomlConfigSettingsSource(settings_cls, toml_file=path))

    if not path.is_file():
        raise FileNotFoundError(ENOENT, "there is no such file", str(path))
    return FromFile()


def complaints(wrong: ValidationError) -> list[str]:
    """One line for each mistake in the settings: the key, its value, and what is allowed."""
    lines = []
    for error in wrong.errors(include_url=False):
        key, kind = ".".join(map(str, error["loc"])), error["type"]
        if kind == "extra_forbidden":
            known = ", ".join(Settings.model_fields)
            lines.append(f"{key} = {error['input']!r}: there is no such key; allowed: {known}")
        elif kind == "missing":
            lines.append(f"{key} must be given: {Settings.model_fields[key].description}")
        else:
            lines.append(f"{key} = {error['input']!r}: {error['msg'].removeprefix('Value error, ')}")
    return lines
