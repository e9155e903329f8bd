"""How a command ends badly before it begins; it is turned into exit code 2."""


class ConfigurationWrong(Exception):
    """A file or an option is wrong; every complaint names the key, its value and what is allowed."""

    def __init__(self, *complaints: str) -> None:
        super().__init__("\n".join(complaints))
        self.complaints = complaints
