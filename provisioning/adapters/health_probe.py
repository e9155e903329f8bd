"""Asks a program for its health over TLS, trusting the home's authority only; and whether it answers at all, trusting nobody."""

import http.client
import json
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from provisioning.ports import Health

_ANSWER_S = 2.0
_ANSWER_BYTES_MAX = 1_000_000


class _Issue(BaseModel):
    code: str = ""
    means: str = ""
    do: str = ""


class _Answer(BaseModel):
    """The part of ``/health`` that is needed here; the rest may grow."""

    model_config = ConfigDict(extra="ignore")
    status: str
    radio: str = ""
    agent: str = ""
    issues: tuple[_Issue, ...] = ()


def ask_health(url: str, ca_file: Path) -> Health | None:
    """None when nothing answers, or something else than health does."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    context = ssl.create_default_context(cafile=str(ca_file))
    connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=_ANSWER_S, context=context)
    try:
        connection.request("GET", parts.path)
        body = json.loads(connection.getresponse().read(_ANSWER_BYTES_MAX))
        answer = _Answer.model_validate(body)
    except (OSError, http.client.HTTPException, ValueError, ValidationError):
        return None
    finally:
        connection.close()
    complaints = tuple(f"{issue.means} {issue.do}".strip() for issue in answer.issues)
    codes = frozenset(issue.code for issue in answer.issues)
    return Health(answer.status, answer.radio, complaints, codes, answer.agent)


def is_answered(url: str) -> bool:
    """False when nothing listens, or what does says nothing in time; an end of our certificates is no program that hangs."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=_ANSWER_S, context=context)
    try:
        connection.request("GET", parts.path)
        connection.getresponse()
    except (TimeoutError, ConnectionRefusedError):
        return False
    except (OSError, http.client.HTTPException):
        pass
    finally:
        connection.close()
    return True
