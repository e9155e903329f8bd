"""Log lines: one per record, the message first and its fields behind it as ``key=value``."""

import logging
import sys
from typing import Final

# What every record has; anything else was given as a field.
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class FieldFormatter(logging.Formatter):
    """``2026-11-21T09:00:00 WARNING cloud_api.services.enrolling an agent enrolled agent='harbour-1'``."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S%z")

    def formatMessage(self, record: logging.LogRecord) -> str:
        fields = [f"{key}={value!r}" for key, value in sorted(vars(record).items()) if key not in _STANDARD]
        return " ".join([super().formatMessage(record), *fields])


def log_to_stderr(level: str) -> None:
    """Send records of at least this level to stderr; libraries speak from WARNING up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(FieldFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("cloud_api").setLevel(level)
