"""Calls a new box in setup mode over HTTPS, by ``http.client`` in threads.

Its certificate is checked by nobody: the box has signed it itself, for no name that could be known before. That is
enough, because nothing here is believed for having come this way: what the box offers is signed with the key whose
fingerprint a person compared, and what it is given is sealed to that key (engagement.line.setup).
"""

import asyncio
import http.client
import json
import ssl

from pydantic import ValidationError
from typing_extensions import override

from engagement.line.setup import CLAIM_PATH, SETUP_PATH, SealedClaim, SetupOffer
from provisioning.services.claiming import Boxes, BoxSilent, FoundBox

# It stands on the same network; a mini-PC that has just started takes a second for its first handshake.
_ANSWER_S = 5.0
# An offer has half a kilobyte.
_ANSWER_BYTES_MAX = 16_384
_DETAIL_CHARS_MAX = 200


class BoxCalls(Boxes):
    @override
    async def offer(self, box: FoundBox) -> SetupOffer:
        content = await asyncio.to_thread(_exchange, box, "GET", SETUP_PATH, None)
        try:
            return SetupOffer.model_validate_json(content)
        except ValidationError as strange:
            raise BoxSilent("what answers is no box that waits to be set up") from strange

    @override
    async def give(self, box: FoundBox, claim: SealedClaim) -> None:
        await asyncio.to_thread(_exchange, box, "POST", CLAIM_PATH, claim.model_dump_json().encode())


def _exchange(box: FoundBox, method: str, path: str, body: bytes | None) -> bytes:
    """Errors: BoxSilent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection(box.host, box.port, timeout=_ANSWER_S, context=context)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read(_ANSWER_BYTES_MAX)
    except (OSError, http.client.HTTPException, ValueError) as failure:
        raise BoxSilent(f"it does not answer ({failure})") from failure
    finally:
        connection.close()
    if answer.status == http.client.NOT_FOUND:
        # Also the store of a box that was revoked: it goes on, and only somebody at the box can bring it back.
        raise BoxSilent(
            "what answers waits for no setting up; a store that is open takes a code of --print, typed at it"
        )
    if answer.status >= 400:
        raise BoxSilent(_detail(content) or f"it answers {answer.status}")
    return content


def _detail(content: bytes) -> str:
    """Of a problem document; a stranger may have written it."""
    try:
        document = json.loads(content)
    except ValueError:
        return ""
    detail = document.get("detail") if isinstance(document, dict) else None
    text = detail if isinstance(detail, str) else ""
    return "".join(letter for letter in text if letter.isprintable())[:_DETAIL_CHARS_MAX]
