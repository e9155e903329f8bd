"""HQ's sealing key as its operator certifies it: the desk fetches the request, its root signs, the desk brings that back."""

from typing import Annotated

from pydantic import Field

from cloud_api.adapters.http.models import Answering, Asking
from cloud_api.adapters.http.operations import Asked, Nothing, Operations
from cloud_api.adapters.http.parts import Parts
from cloud_api.ports.authority import Certified

AUTHORITY_API = Operations()

_PATH = "/v1/authority"
# An ECDSA certificate has 1 kB, one of a large RSA key 3.
_PEM_CHARS_MAX = 16_384

Pem = Annotated[str, Field(max_length=_PEM_CHARS_MAX)]


class AuthorityAnswer(Answering):
    request_pem: Annotated[str, Field(description="PKCS #10; its private key never leaves HQ.")]
    certificate_pem: Annotated[str | None, Field(description="Null while HQ is not certified.")]
    root_pem: Annotated[str | None, Field(description="What the agents pin; null while HQ is not certified.")]


class AuthorityRequest(Asking):
    certificate_pem: Annotated[Pem, Field(description="For the key of the request, issued by root_pem.")]
    root_pem: Pem
    replace_root: Annotated[
        bool,
        Field(description="Take another root than the one before; every agent then needs a new claim code."),
    ] = False


@AUTHORITY_API.asks(
    "GET",
    _PATH,
    "What HQ seals with, and the request to certify it",
    answer=AuthorityAnswer,
    body=Nothing,
    query=Nothing,
)
async def authority(asked: Asked[Nothing, Nothing]) -> AuthorityAnswer:
    return _answer(asked.parts)


@AUTHORITY_API.asks(
    "PUT",
    _PATH,
    "Bring the certificate of HQ's key",
    answer=AuthorityAnswer,
    body=AuthorityRequest,
    query=Nothing,
    problems={
        409: "another root than the one that agents have pinned",
        422: "no certificate of HQ's key by this root",
        503: "nothing was kept: send it again",
    },
)
async def certify(asked: Asked[AuthorityRequest, Nothing]) -> AuthorityAnswer:
    body = asked.body
    await asked.parts.sealing.certify(
        Certified(body.certificate_pem, body.root_pem), replace_root=body.replace_root, by=asked.user
    )
    # Whoever asks for HQ's health next must not be told what is over.
    await asked.parts.tending.look()
    return _answer(asked.parts)


def _answer(parts: Parts) -> AuthorityAnswer:
    authority = parts.sealing.authority
    return AuthorityAnswer(
        request_pem=parts.sealing.request_pem,
        certificate_pem=authority.certificate_pem if authority is not None else None,
        root_pem=parts.sealing.root_pem or None,
    )
