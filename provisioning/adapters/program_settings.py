"""The settings that a home decides for its two programs; the others are open to BECKON_AGENT_* and BECKON_CLOUD_*."""

from collections.abc import Mapping

from provisioning.adapters.home import Home
from provisioning.services.store_address import ADDRESS, StoreAddress

Settings = Mapping[str, str | int]


def agent_settings(home: Home, address: StoreAddress) -> Settings:
    return {
        "home": str(home.agent_folder),
        "guest_address": ADDRESS,
        "guest_http_port": address.guest_http_port,
        "guest_https_port": address.guest_https_port,
        "staff_address": ADDRESS,
        "staff_https_port": address.staff_https_port,
        "tls_certificate": str(home.tls_folder / "server.pem"),
        "tls_key": str(home.tls_folder / "server-key.pem"),
        "recording": str(home.recording_file),
        "hq_url": address.cloud_api_url,
        "hq_ca_file": str(home.ca_file),
        "claim_file": str(home.claim_file),
    }


def cloud_settings(home: Home, address: StoreAddress) -> Settings:
    return {
        "home": str(home.cloud_folder),
        "users": str(home.users_file),
        "address": ADDRESS,
        "port": address.cloud_port,
        "tls_certificate": str(home.tls_folder / "server.pem"),
        "tls_key": str(home.tls_folder / "server-key.pem"),
    }


def outranking(prefix: str, settings: Settings) -> frozenset[str]:
    """The variables that would outrank what the home decides."""
    return frozenset(f"{prefix}{key.upper()}" for key in settings)
