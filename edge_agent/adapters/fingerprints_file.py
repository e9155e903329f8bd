"""The survey of a store, as ``beckon survey`` writes it."""

import json
from pathlib import Path

from pydantic import ValidationError

from edge_agent.faults import ConfigurationWrong
from engagement.estate.complaint import complaints_of
from engagement.presence.fingerprints import Fingerprints


def read_fingerprints(path: Path) -> Fingerprints:
    """Errors: ConfigurationWrong with every mistake."""
    try:
        content = json.loads(path.read_bytes())
    except OSError as failed:
        raise ConfigurationWrong(f"{path}: cannot be read: {failed.strerror}") from failed
    except json.JSONDecodeError as broken:
        raise ConfigurationWrong(f"{path}:{broken.lineno}: is no JSON: {broken.msg}") from broken
    except (UnicodeDecodeError, RecursionError) as broken:
        raise ConfigurationWrong(f"{path}: is no JSON: {broken}") from broken
    try:
        return Fingerprints.model_validate(content)
    except ValidationError as wrong:
        complaints = complaints_of(wrong, lambda _: None)
        raise ConfigurationWrong(*(complaint.told(str(path)) for complaint in complaints)) from None
