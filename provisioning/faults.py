"""The two ways in which a command ends badly; ``__main__`` turns them into exit codes 1 and 2."""


class WorkFailed(Exception):
    """The call was right and the work still failed; the message says at what and what to do next."""


class ConfigurationWrong(Exception):
    """The call, a setting or a file is wrong; every complaint says which key, its value and what is allowed."""

    def __init__(self, *complaints: str) -> None:
        super().__init__("\n".join(complaints))
        self.complaints = complaints
