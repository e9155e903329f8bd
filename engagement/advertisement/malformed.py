"""The one error of reading a beacon frame."""


class MalformedFrame(ValueError):
    """A frame that begins like one of the known formats and breaks its rules; names field, value and what is allowed."""

    code = "malformed_frame"

    def __init__(self, frame: str, field: str, value: object, allowed: str) -> None:
        super().__init__(f"{frame} frame: {field} is {value}; allowed: {allowed}")
        self.frame = frame
        self.field = field
        self.value = value
        self.allowed = allowed
