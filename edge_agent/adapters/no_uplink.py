"""The line of an agent that no HQ has enrolled: there is none, and the journal keeps everything."""

from edge_agent.ports import Uplink


class NoUplink(Uplink):
    @property
    def last_contact_ms(self) -> int | None:
        return None
