"""Reads the bundle that provisioning wrote for this agent."""

from pathlib import Path

from pydantic import ValidationError

from engagement.estate.bundle import Bundle


class BundleRefused(Exception):
    """The bundle cannot be used; one line per problem, each naming the field, its value and what is allowed."""


def read_bundle(path: Path) -> Bundle:
    """Errors: BundleRefused."""
    try:
        return Bundle.model_validate_json(path.read_bytes())
    except OSError as failure:
        raise BundleRefused(f"bundle: cannot read {path}: {failure.strerror}") from failure
    except ValidationError as invalid:
        lines = [
            f"bundle {path}: {'.'.join(map(str, error['loc'])) or 'file'}: {error['msg']} "
            f"(value {_brief(error['input'])})"
            for error in invalid.errors(include_url=False)
        ]
        raise BundleRefused("\n".join(lines)) from invalid


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
