"""Requests and answers between agent and HQ, as JSON.

Unknown fields are ignored, for either side may be the newer one.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from engagement.ids import LABEL, AgentName, Slug
from engagement.journal.event import Lane

# As long as HQ may send an agent away; whoever asks for more is not believed.
SLOT_MS_MAX = 15 * 60_000

# Below what JSON carries exactly everywhere; an agent's reports of every second reach it after 285 million years.
REPORTS_MAX = 2**53
# Twice a proof, most of which is a certificate.
PROOF_CHARS_MAX = 4096

Slot = Annotated[int, Field(ge=0, le=SLOT_MS_MAX)]
ClaimIdHex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{10}$")]
Hex16 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Hex32 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Said(BaseModel):
    """The base of what one side says to the other."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class RefusedEntry(Said):
    """An entry that HQ keeps apart because it cannot use it; ``code`` is stable."""

    seq: Annotated[int, Field(ge=1)]
    code: str


class BatchAnswer(Said):
    """``ack``: the highest seq of this agent, lane and epoch that is durable at HQ, 0 for none yet; ``slot_ms``: do not
    come again before that long has passed; ``refused``: entries of this batch that HQ keeps apart, which count as
    delivered."""

    ack: Annotated[int, Field(ge=0)]
    slot_ms: Slot = 0
    refused: tuple[RefusedEntry, ...] = ()


class LineProblem(Said):
    """A problem document (RFC 9457) as an agent reads it.

    ``code`` is stable; ``expected``: with ``gap``, the first seq that HQ lacks; ``ack``: with ``diverged``, the last seq
    that HQ has; ``slot_ms``: with ``overloaded``, how long to stay away.
    """

    status: int
    code: str
    detail: str = ""
    expected: int | None = None
    ack: int | None = None
    slot_ms: Slot | None = None


class EnrolmentRequest(Said):
    """``mac_hex``: engagement.line.claim.request_mac over the key and the nonce."""

    claim_id: ClaimIdHex
    agent_public_key_hex: Hex32
    nonce_hex: Hex16
    mac_hex: Hex32


class EnrolmentAnswer(Said):
    """``mac_hex``: engagement.line.claim.answer_mac over the key, the nonce, the name and both certificates.

    ``root_pem``: HQ's root, from which everything that HQ seals descends. ``certificate_pem``: the agent's own
    certificate, and HQ's authority that issued it.
    """

    agent: Annotated[AgentName, LABEL]
    mac_hex: Hex32
    root_pem: str = ""
    certificate_pem: str = ""


class AgentReport(Said):
    """How an agent is, and what it works from. ``bundle_sequence``: 0 while it has none. ``issues``: codes of its health,
    most urgent first. ``clock_error_ms``: how far its wall clock may be wrong. ``number`` rises with every report, so that
    nobody shows an old one as the agent's last; 0 from versions that count none. ``proof``: where HQ asked for it, that of
    the bundle (engagement.estate.sealing)."""

    bundle_sequence: Annotated[int, Field(ge=0, lt=2**48)]
    status: Literal["ok", "degraded", "failing"]
    issues: Annotated[tuple[Slug, ...], Field(max_length=50)] = ()
    backlog: dict[Lane, Annotated[int, Field(ge=0, lt=2**48)]]
    version: Annotated[str, Field(max_length=80)]
    radio: Annotated[str, Field(max_length=200)] = ""
    clock_error_ms: Annotated[int, Field(ge=0, lt=2**62)] = 0
    number: Annotated[int, Field(ge=0, lt=REPORTS_MAX)] = 0
    proof: Annotated[str, Field(max_length=PROOF_CHARS_MAX)] = ""


class ReportAnswer(Said):
    """``bundle_sequence``: of the newest bundle for this agent; ``again_ms``: when HQ would like the next report.
    ``number``: of the last report that HQ has; ``is_old``: this one came after that, and counts for nothing: an agent that
    has just begun to count goes on from there. ``wants_proof``: HQ does not remember the agent's bundle, for it was put back
    to an older state: the next report is to prove it."""

    bundle_sequence: Annotated[int, Field(ge=0)]
    again_ms: Slot
    number: Annotated[int, Field(ge=0, lt=REPORTS_MAX)] = 0
    is_old: bool = False
    wants_proof: bool = False
