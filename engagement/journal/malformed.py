"""What can be wrong with a batch's bytes."""

from typing import Final

# A value is quoted to help, not to repeat a flood.
_QUOTED_CHARS: Final = 80


class MalformedBatch(ValueError):
    """Bytes that are no batch, or entries that cannot be one; names field, value and what is allowed."""

    code = "malformed_batch"

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field = field
        self.value = value
        self.allowed = allowed
        super().__init__(f"batch: {field} is {str(value)[:_QUOTED_CHARS]}; allowed: {allowed}")


class UnknownVocabulary(MalformedBatch):
    """A newer sender used a number that the tables of this version lack; it should send again with all names spelt out."""

    code = "unknown_vocabulary"
