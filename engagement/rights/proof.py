"""What a sealed grant proves: that HQ, in whichever incarnation, granted this ledger file so much."""

from pydantic import ValidationError

from engagement.ids import AgentName
from engagement.line.seal import SealKind, SealRefused, open_seal
from engagement.rights.messages import Grant, LeaseRequest


def grant_shown(request: LeaseRequest, agent: AgentName, *, root_pem: str) -> Grant | None:
    """The sealed grant that the request carries; None where it carries none.

    Errors: SealRefused when its seal is not HQ's, or it is the grant of another ledger file.
    """
    if not request.grant:
        return None
    payload = open_seal(request.grant, SealKind.GRANT, root_pem=root_pem)
    try:
        grant = Grant.model_validate_json(payload)
    except ValidationError as malformed:
        raise SealRefused("what it seals is no grant") from malformed
    if (grant.agent, grant.epoch) != (agent, request.epoch):
        raise SealRefused("it is the grant of another ledger")
    return grant
