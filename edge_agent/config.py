"""The agent's settings: each key with its unit, its default and its reason. Read from a TOML file and BECKON_AGENT_*.

docs/configuration.md lists the same keys; a test keeps the two equal.
"""

from errno import ENOENT
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)


def _named(value: object) -> object:
    # An empty path means the folder one happens to be in, which nobody wants filled with keys.
    if value == "":
        raise ValueError("is empty; allowed: a path")
    return value


def _address(value: str) -> str:
    try:
        ip_address(value)
    except ValueError:
        raise ValueError("allowed: an IPv4 or IPv6 address of this machine") from None
    return value


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        is_whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_whole = False
    if not is_whole:
        raise ValueError("allowed: https://HOST or https://HOST:PORT")
    return value


def _recorded(value: object, info: ValidationInfo) -> object:
    # Said at the start: a new box would otherwise be enrolled first, and fail when it opens its store.
    if value is None and info.data.get("radio") == "recording":
        raise ValueError("radio is 'recording'; allowed: a file of advertisements")
    return value


def _paired(value: object, info: ValidationInfo) -> object:
    if (value is None) != (info.data.get("tls_certificate") is None):
        raise ValueError("allowed: a file (PEM) with tls_certificate, and none without")
    return value


NamedPath = Annotated[Path, BeforeValidator(_named)]
Address = Annotated[str, AfterValidator(_address)]
Port = Annotated[int, Field(ge=1, le=65535)]
HttpsUrl = Annotated[str, StringConstraints(pattern=r"^https://[^/\s]+$"), AfterValidator(_url)]


class Settings(BaseSettings):
    """Everything that may differ between two installations of the same version."""

    model_config = SettingsConfigDict(env_prefix="BECKON_AGENT_", extra="forbid", frozen=True)

    home: Annotated[
        NamedPath, Field(description="Folder of the ledger, the keys and the ballast; made when missing.")
    ]
    bundle: Annotated[
        NamedPath | None,
        Field(description="A bundle file for a store without HQ. HQ's own bundle outranks it once enrolled."),
    ] = None
    guest_address: Annotated[
        Address, Field(description="Address that shoppers' phones reach; the guest network only.")
    ] = "127.0.0.1"
    guest_http_port: Annotated[Port, Field(description="Where probes arrive; redirects to the page.")] = 8610
    guest_https_port: Annotated[Port, Field(description="The welcome page.")] = 8611
    guest_url: Annotated[
        HttpsUrl | None,
        Field(description="The page's address as phones see it; by default guest_address and its port."),
    ] = None
    staff_address: Annotated[
        Address, Field(description="Address that tills and staff reach; never the guest network.")
    ] = "127.0.0.1"
    staff_https_port: Annotated[Port, Field(description="Till page, staff pages and the till API.")] = 8612
    tls_certificate: Annotated[
        NamedPath | None,
        Field(
            description="Certificate chain (PEM) for the guest and the staff listener. By default the agent signs one itself, of "
            "which phones and tills warn."
        ),
    ] = None
    tls_key: Annotated[
        NamedPath | None,
        AfterValidator(_paired),
        Field(description="Its private key (PEM).", validate_default=True),
    ] = None
    radio: Annotated[
        Literal["auto", "bluez", "recording", "none"],
        Field(description="auto: the machine's adapter when BlueZ has one, else the recording."),
    ] = "auto"
    recording: Annotated[
        NamedPath | None,
        AfterValidator(_recorded),
        Field(
            description="Advertisements (JSON lines) to play when there is no adapter.", validate_default=True
        ),
    ] = None
    announce: Annotated[
        bool, Field(description="Announce the staff side by zeroconf, so that tills and HQ find it.")
    ] = True
    hq_url: Annotated[
        HttpsUrl | None,
        Field(description="HQ's address, if it is not to be the one that the claim code says."),
    ] = None
    hq_ca_file: Annotated[
        NamedPath | None,
        Field(
            description="Authorities (PEM) that HQ's certificate must come from; by default the root that the claim "
            "code names."
        ),
    ] = None
    claim_file: Annotated[
        NamedPath | None,
        Field(
            description="Where a claim code is put to enrol this agent at HQ; deleted once it is used. By default "
            "claim.txt in home."
        ),
    ] = None
    commit_batch_max: Annotated[
        int,
        Field(ge=1, le=5000, description="Most decisions in one commit; 1 gives each its own disk sync."),
    ] = 500
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], Field(description="Least severity that is logged.")
    ] = "INFO"

    @property
    def claim_path(self) -> Path:
        """Where a claim code is put."""
        return self.claim_file or self.home / "claim.txt"

    @property
    def guest_base_url(self) -> str:
        """Where the welcome page is, without a trailing slash."""
        return self.guest_url or f"https://{host_in_url(self.guest_address)}:{self.guest_https_port}"

    @property
    def hosts(self) -> tuple[str, ...]:
        """What both listeners are called, for a certificate."""
        return (
            self.staff_address,
            self.guest_address,
            urlsplit(self.guest_base_url).hostname or self.guest_address,
        )


def host_in_url(address: str) -> str:
    """An address as it stands in a URL: IPv6 in brackets."""
    return f"[{address}]" if ":" in address else address


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
