"""An event in its place: numbered in its lane, stamped, and chained to the one before it."""

from hashlib import sha256
from typing import NamedTuple

from pydantic import TypeAdapter

from engagement.clock.hybrid import HybridTime
from engagement.journal.event import AnyEvent, Event, Lane

CHAIN_START = bytes(32)
_ANY_EVENT: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)


class Entry(NamedTuple):
    """One line of the journal.

    Shape: ``seq`` counts from 1 without gaps within (epoch, lane) and is never used again; ``head`` is
    SHA-256(previous head | encoded event), 32 bytes; ``body`` the event as UTF-8 JSON. A plain tuple, because HQ makes
    tens of thousands a second, and nothing in it comes from outside unchecked.
    """

    lane: Lane
    seq: int
    stamp: HybridTime
    body: bytes
    head: bytes

    @property
    def event(self) -> AnyEvent:
        """Errors: pydantic.ValidationError when the body was not written by encode()."""
        return _ANY_EVENT.validate_json(self.body)


def encode(event: Event) -> bytes:
    """The bytes that are stored, chained and shipped."""
    return event.model_dump_json().encode()


def chain(previous_head: bytes, body: bytes) -> bytes:
    """The next head: SHA-256 over the previous head and the event's bytes."""
    return sha256(previous_head + body).digest()
