"""Reads the bundle that provisioning wrote for this agent."""

from pathlib import Path

from pydantic import ValidationError

from engagement.estate.bundle import Bundle
from engagement.estate.complaint import complaints_of


class BundleRefused(Exception):
    """The bundle cannot be used; one line per problem, each naming the field, its value and what is allowed."""


def read_bundle(path: Path) -> Bundle:
    """Errors: BundleRefused."""
    try:
        return Bundle.model_validate_json(path.read_bytes())
    except OSError as failure:
        raise BundleRefused(f"bundle: cannot read {path}: {failure.strerror}") from failure
    except ValidationError as invalid:
        complaints = complaints_of(invalid, lambda of_path: None)
        raise BundleRefused(
            "\n".join(complaint.told(f"bundle {path}") for complaint in complaints)
        ) from invalid
