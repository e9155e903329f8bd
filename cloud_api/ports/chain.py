"""Where HQ's branches and campaigns are written down."""

from typing import Protocol

from engagement.estate.chain import Chain


class ChainRefused(Exception):
    """The chain's file cannot be used; one line per mistake."""


class ChainSource(Protocol):
    """Where HQ's branches and campaigns are written down."""

    def read_if_changed(self) -> Chain | None:
        """None when it is as it was at the last call. Errors: ChainRefused."""
