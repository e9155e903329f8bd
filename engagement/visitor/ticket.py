"""A ticket: the agent's signed word that a phone was in a zone a moment ago, good for half an hour.

It names the zone and its end and nobody: whoever shows it was there, or stood beside somebody who was.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from hmac import compare_digest
from hmac import new as hmac_new

from engagement.clock.moment import Moment
from engagement.ids import ZoneName

TICKET_LIFE_MS = 30 * 60_000
_PREFIX = "z1"
_MAC_CHARS = 32


def zone_ticket(key: bytes, zone: ZoneName, expires_ms: int) -> str:
    """The text ``z1.<zone, base64url>.<end, Unix ms>.<mac>``."""
    head = f"{_PREFIX}.{urlsafe_b64encode(zone.encode()).decode().rstrip('=')}.{expires_ms}"
    return f"{head}.{_mac(key, head)}"


def zone_of_ticket(key: bytes, ticket: str, now: Moment) -> ZoneName | None:
    """The zone that a ticket proves; None when it was not made by us or has certainly ended."""
    head, _, mac = ticket.rpartition(".")
    if not ticket.isascii() or not compare_digest(_mac(key, head).encode(), mac.encode()):
        return None
    _, zone, expires_ms = head.split(".")
    if now.is_certainly_after(int(expires_ms)):
        return None
    return ZoneName(urlsafe_b64decode(zone + "=" * (-len(zone) % 4)).decode())


def _mac(key: bytes, head: str) -> str:
    return hmac_new(key, b"zone ticket|" + head.encode(), sha256).hexdigest()[:_MAC_CHARS]
