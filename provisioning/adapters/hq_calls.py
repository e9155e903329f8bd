"""Calls HQ's API over TLS as its operator does, by ``http.client`` in threads.

Decides how long to wait for an answer and how much of it to take. Trusts the given authority alone, or, without one, those
that the system trusts. Signs in when it must, and again once its session is over.
"""

import asyncio
import http.client
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from pydantic import ValidationError
from typing_extensions import override

from engagement.estate.branch import Branch
from engagement.estate.estate import Change, Estate
from engagement.estate.noting import AgentAtHq
from engagement.ids import AgentName, BranchCode, CampaignId
from provisioning.adapters.estate_text import NoEstate, estate_of
from provisioning.ports import (
    AgentTold,
    CampaignAtHq,
    Certified,
    Hq,
    HqAgents,
    HqAuthority,
    HqEstate,
    HqKey,
    HqMoved,
    HqRefused,
    HqSilent,
    HqUnable,
    Standing,
    Stopped,
)
from provisioning.services.claiming import HqOfClaims

# A sign-in takes HQ 50 ms; on a machine that is just starting everything, some times that.
_ANSWER_S = 5.0
# A chain of 10,000 branches is 25 MB to send and seconds to judge; HQ itself gives its body 300 s.
_LARGE_S = 300.0
# As much as HQ takes of a change; what it answers is no larger.
_ANSWER_BYTES_MAX = 64 * 2**20
_UNAUTHORISED, _NOT_FOUND, _CONFLICT = 401, 404, 409
# As many complaints of HQ's as somebody reads at once.
_COMPLAINTS_MAX = 40


class _Answer(NamedTuple):
    status: int
    text: str

    @property
    def content(self) -> Any:
        """Errors: HqSilent."""
        try:
            return json.loads(self.text)
        except ValueError as strange:
            raise HqSilent("its answer is no JSON") from strange


class HqCalls(Hq, HqAuthority, HqEstate, HqOfClaims, HqAgents):
    """``url``: HQ's address without a path; ``ca_file``: None for the system's authorities."""

    def __init__(self, *, url: str, ca_file: Path | None, user: str, password: str) -> None:
        self._url = urlsplit(url)
        self._ca_file = ca_file
        self._credentials = {"user": user, "password": password}
        self._token: str | None = None

    @override
    async def agent_standing(self, agent: AgentName) -> Standing | None:
        for each in await self._listed("/v1/agents", "agents"):
            if each.get("name") == agent:
                sequences = (each.get("bundle_sequence"), each.get("bundle_wanted"))
                works_from, wanted = (each if isinstance(each, int) else None for each in sequences)
                return Standing(str(each.get("state")), works_from, wanted)
        return None

    @override
    async def claim_code(self, branch: BranchCode, agent: AgentName) -> str:
        answer = await self._ask("POST", "/v1/claims", {"branch": branch, "agent": agent})
        return _text(answer.content, "claim_code")

    @override
    async def enrolled_key(self, agent: AgentName) -> bytes | None:
        answer = await self._asked("GET", f"/v1/agents/{quote(agent, safe='')}", None, _ANSWER_S)
        if answer.status == _NOT_FOUND:
            return None
        try:
            key_hex = _granted(answer).content["public_key_hex"]
            return None if key_hex is None else bytes.fromhex(key_hex)
        except (KeyError, TypeError, ValueError) as strange:
            raise HqSilent("it tells no agent's key as this version knows it") from strange

    @override
    async def authority(self) -> HqKey:
        answer = (await self._ask("GET", "/v1/authority")).content
        request_pem = _text(answer, "request_pem")
        certificate_pem, root_pem = answer.get("certificate_pem"), answer.get("root_pem")
        is_certified = isinstance(certificate_pem, str) and isinstance(root_pem, str)
        return HqKey(request_pem, Certified(certificate_pem, root_pem) if is_certified else None)

    @override
    async def put_authority(self, certified: Certified, *, replace_root: bool) -> None:
        await self._ask("PUT", "/v1/authority", {**certified._asdict(), "replace_root": replace_root})

    @override
    async def estate(self, like: Mapping[BranchCode, Branch]) -> Estate:
        answer = await self._ask("GET", "/v1/estate", answer_s=_LARGE_S)
        try:
            return estate_of(answer.text, like)
        except NoEstate as strange:
            raise HqSilent(str(strange)) from strange

    @override
    async def agents(self) -> list[AgentAtHq]:
        listed = await self._listed("/v1/agents", "agents")
        try:
            return [
                AgentAtHq(
                    name=each["name"],
                    branch=each["branch"],
                    number=each["number"],
                    is_active=each["state"] == "active",
                    bundle_sequence=each.get("bundle_sequence"),
                )
                for each in listed
            ]
        except (KeyError, ValidationError) as strange:
            raise HqSilent("it lists agents as this version does not know them") from strange

    @override
    async def campaigns(self) -> list[CampaignAtHq]:
        listed = await self._listed("/v1/campaigns", "campaigns")
        try:
            return [CampaignAtHq(*(each[key] for key in CampaignAtHq._fields)) for each in listed]
        except KeyError as strange:
            raise HqSilent("it lists campaigns as this version does not know them") from strange

    @override
    async def change(self, change: Change) -> int:
        body = change.model_dump_json().encode()
        return _revision(await self._ask("POST", "/v1/estate/changes", body, answer_s=_LARGE_S))

    @override
    async def stop(self, campaign: CampaignId, *, honour_issued: bool) -> Stopped:
        path = f"/v1/campaigns/{quote(campaign, safe='')}/stop"
        revision = _revision(await self._ask("POST", path, {"honour_issued": honour_issued}))
        for each in await self._listed("/v1/campaigns", "campaigns"):
            if each.get("id") == campaign and isinstance(each.get("stopped"), dict):
                return Stopped(revision, each["stopped"].get("honour_issued") is True)
        raise HqSilent("it took the stop and does not tell of it")

    @override
    async def agents_told(self) -> list[AgentTold]:
        listed = await self._listed("/v1/agents", "agents")
        try:
            return [
                AgentTold(
                    name=each["name"],
                    branch=each["branch"],
                    state=each["state"],
                    last_contact=each["last_contact_at"],
                    issues=tuple(each["issues"] or ()),
                    backlog=sum((each["backlog"] or {}).values()),
                )
                for each in listed
            ]
        except (KeyError, TypeError, AttributeError) as strange:
            raise HqSilent("it lists agents as this version does not know them") from strange

    @override
    async def awaited(self) -> list[AgentName]:
        found = (await self._ask("GET", "/v1/fence", answer_s=_LARGE_S)).content
        waiting_for = found.get("waiting_for") if isinstance(found, dict) else None
        if not isinstance(waiting_for, list):
            raise HqSilent("it does not tell whom it waits for")
        return [AgentName(str(each)) for each in waiting_for]

    @override
    async def revoke(self, agent: AgentName) -> None:
        await self._ask("POST", f"/v1/agents/{quote(agent, safe='')}/revoke")

    @override
    async def write_off(self, agent: AgentName) -> None:
        await self._ask("POST", f"/v1/agents/{quote(agent, safe='')}/write-off")

    async def _listed(self, path: str, key: str) -> list[dict[str, Any]]:
        content = (await self._ask("GET", path, answer_s=_LARGE_S)).content
        found = content.get(key) if isinstance(content, dict) else None
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise HqSilent(f"it lists no {key}")
        return found

    async def _ask(
        self, method: str, path: str, body: object = None, *, answer_s: float = _ANSWER_S
    ) -> _Answer:
        """Errors: HqSilent, HqRefused."""
        return _granted(await self._asked(method, path, body, answer_s))

    async def _asked(self, method: str, path: str, body: object, answer_s: float) -> _Answer:
        """Whatever is answered. Errors: HqSilent."""
        answer = await self._send(method, path, body, answer_s)
        if answer.status == _UNAUTHORISED:
            self._token = None
            answer = await self._send(method, path, body, answer_s)
        return answer

    async def _send(self, method: str, path: str, body: object, answer_s: float) -> _Answer:
        if self._token is None:
            answer = await asyncio.to_thread(
                self._exchange, "POST", "/v1/sessions", self._credentials, _ANSWER_S
            )
            if answer.status == _NOT_FOUND:
                raise HqSilent("what answers there is no HQ")
            if answer.status != 200:
                return answer
            self._token = _text(answer.content, "token")
        return await asyncio.to_thread(self._exchange, method, path, body, answer_s)

    def _exchange(self, method: str, path: str, body: object, answer_s: float) -> _Answer:
        """``body``: bytes as they are, anything else as JSON. Errors: HqSilent."""
        assert self._url.hostname is not None
        headers = {"Content-Type": "application/json"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPSConnection(
            self._url.hostname, self._url.port, timeout=answer_s, context=self._trust()
        )
        try:
            connection.request(method, path, sent, headers)
            answer = connection.getresponse()
            taken = answer.read(_ANSWER_BYTES_MAX + 1)
        except ssl.SSLCertVerificationError as stranger:
            raise HqSilent(_strange(stranger, self._ca_file)) from stranger
        except (OSError, http.client.HTTPException) as failure:
            raise HqSilent(_cause(failure, answer_s)) from failure
        finally:
            connection.close()
        if len(taken) > _ANSWER_BYTES_MAX:
            raise HqSilent(f"its answer is larger than {_ANSWER_BYTES_MAX} bytes")
        return _Answer(answer.status, taken.decode("utf-8", "replace"))

    def _trust(self) -> ssl.SSLContext:
        """Errors: HqSilent when the authority cannot be read."""
        try:
            return trust_in(self._ca_file)
        except OSError as unreadable:
            raise HqSilent(f"{self._ca_file} is no certificate to know it by") from unreadable


def trust_in(ca_file: Path | None) -> ssl.SSLContext:
    """Errors: OSError when that cannot be read, or is no certificate."""
    return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))


def is_vouched_for(url: str, ca_file: Path) -> bool:
    """Whether the authority in that file vouches for what HQ presents; also true where HQ does not say. Errors: OSError when
    the file cannot be read."""
    parts, trust = urlsplit(url), trust_in(ca_file)
    assert parts.hostname is not None
    connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=_ANSWER_S, context=trust)
    try:
        connection.connect()
    except ssl.SSLCertVerificationError:
        return False
    except OSError:
        return True
    finally:
        connection.close()
    return True


def _strange(stranger: ssl.SSLCertVerificationError, ca_file: Path | None) -> str:
    """Why its certificate does not count, and what would make it count."""
    hint = "; where it is of a root of your own, name that with --hq-ca" if ca_file is None else ""
    return f"its certificate is none that {ca_file or 'this system'} vouches for: {stranger.verify_message}{hint}"


def _cause(failure: Exception, answer_s: float) -> str:
    """In words; what the system calls it where there are no better ones."""
    if isinstance(failure, TimeoutError):
        return f"it does not answer within {answer_s:g} s"
    if isinstance(failure, ssl.SSLError):
        return f"what answers there does not speak TLS as HQ does ({failure.reason})"
    if isinstance(failure, OSError) and failure.strerror:
        return failure.strerror
    return str(failure) or type(failure).__name__


def _revision(answer: _Answer) -> int:
    content = answer.content
    found = content.get("revision") if isinstance(content, dict) else None
    if not isinstance(found, int):
        raise HqSilent("its answer has no revision")
    return found


def _granted(answer: _Answer) -> _Answer:
    """Errors: HqUnable, HqRefused."""
    if answer.status >= 500:
        raise HqUnable(_detail(answer) or f"it answers {answer.status}")
    if answer.status >= 400:
        raise _refused(answer)
    return answer


def _refused(answer: _Answer) -> HqRefused:
    """What a problem document says."""
    try:
        content = json.loads(answer.text)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        return HqRefused(f"it answers {answer.status}")
    revision = content.get("revision")
    if answer.status == _CONFLICT and content.get("code") == "estate_moved" and isinstance(revision, int):
        return HqMoved(revision)
    errors = content.get("errors")
    complaints = [
        str(error.get("allowed"))
        for error in (errors if isinstance(errors, list) else ())
        if isinstance(error, dict)
    ]
    more = (
        [f"and {len(complaints) - _COMPLAINTS_MAX} complaints more"]
        if len(complaints) > _COMPLAINTS_MAX
        else []
    )
    detail = str(content.get("detail") or f"it answers {answer.status}")
    return HqRefused("\n  ".join([detail, *complaints[:_COMPLAINTS_MAX], *more]))


def _text(answer: Any, key: str) -> str:
    found = answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(found, str):
        raise HqSilent(f"its answer has no {key}")
    return found


def _detail(answer: _Answer) -> str:
    """Of a problem document."""
    try:
        content = json.loads(answer.text)
    except ValueError:
        return ""
    return str(content.get("detail", "")) if isinstance(content, dict) else ""
