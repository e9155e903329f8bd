"""What HQ's people do about agents: take one's key from it, look at what could not be used, have that judged again."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from cloud_api.adapters.http.models import Answering, Asking
from cloud_api.adapters.http.operations import Asked, Nothing, Operations
from cloud_api.ports.storage import KeptLetter, LetterPlace
from cloud_api.services.rejudging import FIRST
from engagement.clock.moment import from_ms
from engagement.ids import LABEL, AgentName, BranchCode
from engagement.journal.event import Lane

UPKEEP_API = Operations()

# A page of this many is 200 kB at most.
_PAGE_MAX = 100
# Whoever needs more of an entry finds it in the agent's own journal; the sizes of bodies that are none have no end.
_BODY_CHARS_MAX = 2000

Place = Annotated[
    str,
    StringConstraints(pattern=r"^\d{1,15}-\d{1,15}$"),
    Field(description="As ``next`` of the answer before."),
]


class RevokedAnswer(Answering):
    agent: AgentName
    state: Literal["revoked"] = "revoked"


class LettersQuery(Asking):
    agent: Annotated[AgentName, LABEL] | None = None
    after: Place | None = None
    limit: Annotated[int, Field(ge=1, le=_PAGE_MAX)] = _PAGE_MAX


class LetterAnswer(Answering):
    agent: AgentName
    branch: BranchCode
    lane: Lane
    epoch: str
    seq: int
    code: Annotated[str, Field(description="Why it could not be used when it was last judged.")]
    received_at: datetime
    body: Annotated[str, Field(description="As it arrived, as text; the beginning of a long one.")]


class LettersAnswer(Answering):
    letters: list[LetterAnswer]
    next: Annotated[str | None, Field(description="Where to go on; null when these are the last.")]


class JudgeRequest(Asking):
    agent: Annotated[AgentName, LABEL] | None = None
    after: Place | None = None


class JudgedAnswer(Answering):
    judged: int
    used: Annotated[int, Field(description="These count now, and are no dead letters any more.")]
    left: Annotated[int, Field(description="These are kept on, with the code that fits now.")]
    next: Annotated[
        str | None, Field(description="Where to go on when there were too many for one request; else null.")
    ]


@UPKEEP_API.asks(
    "POST",
    "/v1/agents/{agent}/revoke",
    "Take an agent's key from it",
    answer=RevokedAnswer,
    body=Nothing,
    query=Nothing,
    problems={404: "no agent of this name ever had a claim"},
)
async def revoke(asked: Asked[Nothing, Nothing]) -> RevokedAnswer:
    agent = AgentName(asked.request.match_info["agent"])
    await asked.parts.revoking.revoke(agent, by=asked.user)
    return RevokedAnswer(agent=agent)


@UPKEEP_API.asks(
    "GET",
    "/v1/dead-letters",
    "Entries that arrived but could not be used",
    answer=LettersAnswer,
    body=Nothing,
    query=LettersQuery,
)
async def dead_letters(asked: Asked[Nothing, LettersQuery]) -> LettersAnswer:
    query = asked.query
    page = await asked.parts.rejudging.page(agent=query.agent, after=_place(query.after), limit=query.limit)
    return LettersAnswer(letters=[_letter(kept) for kept in page.letters], next=_text(page.next))


@UPKEEP_API.asks(
    "POST",
    "/v1/dead-letters/judge",
    "Judge dead letters again: what can be used by now counts",
    answer=JudgedAnswer,
    body=JudgeRequest,
    query=Nothing,
)
async def judge(asked: Asked[JudgeRequest, Nothing]) -> JudgedAnswer:
    judged = await asked.parts.rejudging.judge(agent=asked.body.agent, after=_place(asked.body.after))
    return JudgedAnswer(judged=judged.judged, used=judged.used, left=judged.left, next=_text(judged.next))


def _letter(kept: KeptLetter) -> LetterAnswer:
    return LetterAnswer(
        agent=kept.key.agent,
        branch=kept.branch,
        lane=kept.key.lane,
        epoch=kept.key.epoch,
        seq=kept.letter.seq,
        code=kept.letter.code,
        received_at=from_ms(kept.received_ms),
        body=kept.letter.body.decode(errors="replace")[:_BODY_CHARS_MAX],
    )


def _place(text: str | None) -> LetterPlace:
    return LetterPlace(*map(int, text.split("-"))) if text else FIRST


def _text(place: LetterPlace | None) -> str | None:
    return None if place is None else f"{place.lane}-{place.seq}"
