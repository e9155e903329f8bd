"""Signed requests: what is covered, what is refused and by which code."""

from base64 import b64decode
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from engagement.line.signature import (
    SignatureFault,
    SignatureRefused,
    content_digest,
    sign_request,
    verify_request,
)

# Test key of RFC 9421, appendix B.1.4 (test-key-ed25519), its private and public halves.
PRIVATE = bytes.fromhex("9f8362f87a484a954e6e740c5b4c0e84229139a20aa8ab56ff66586f6a7d29c5")
KEY = Ed25519PrivateKey.from_private_bytes(PRIVATE)
PUBLIC = KEY.public_key().public_bytes_raw()
URI = "https://hq.example/v1/agents/store-1/batches"
BODY = b"what happened"


def headers_of(**changes: object) -> dict[str, str]:
    asked = {"keyid": "store-1", "created_s": 0, "nonce": "n-1", "sign": KEY.sign} | changes
    return sign_request("POST", URI, BODY, **asked)  # type: ignore[arg-type]


def fault_of(
    headers: dict[str, str],
    *,
    method: str = "POST",
    uri: str = URI,
    body: bytes = BODY,
    public_key_of: Callable[[str], bytes | None] = {"store-1": PUBLIC}.get,
) -> str:
    with pytest.raises(SignatureRefused) as refused:
        verify_request(method, uri, headers, body, public_key_of=public_key_of)
    return refused.value.code


def test_the_digest_is_that_of_the_standard() -> None:
    """The body and the digest of RFC 9530, appendix D."""
    assert content_digest(b'{"hello": "world"}') == "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"


def test_the_signature_is_over_the_base_that_the_standard_builds() -> None:
    headers = headers_of()
    parameters = (
        '("@method" "@target-uri" "content-digest");created=0;keyid="store-1";nonce="n-1";alg="ed25519"'
    )
    assert headers["Signature-Input"] == f"beckon={parameters}"
    base = (
        f'"@method": POST\n"@target-uri": {URI}\n'
        f'"content-digest": {headers["Content-Digest"]}\n"@signature-params": {parameters}'
    )
    KEY.public_key().verify(b64decode(headers["Signature"][len("beckon=:") : -1]), base.encode())


@given(st.text(min_size=1, max_size=80).filter(lambda name: name.isprintable()), st.integers(0, 2**40))
def test_a_signed_request_is_its_senders(name: str, created_s: int) -> None:
    headers = headers_of(keyid=name, created_s=created_s)
    assert verify_request("POST", URI, headers, BODY, public_key_of={name: PUBLIC}.get) == name


def test_header_names_are_read_in_any_case() -> None:
    headers = {name.upper(): value for name, value in headers_of().items()}
    assert verify_request("POST", URI, headers, BODY, public_key_of=lambda _: PUBLIC) == "store-1"


def test_whatever_is_changed_is_noticed() -> None:
    headers = headers_of()
    assert fault_of(headers, method="PUT") == SignatureFault.WRONG
    assert fault_of(headers, uri=URI.replace("store-1", "store-2")) == SignatureFault.WRONG
    assert fault_of(headers, body=BODY + b"!") == SignatureFault.DIGEST_WRONG
    assert fault_of(headers | {"Content-Digest": content_digest(b"x")}, body=b"x") == SignatureFault.WRONG
    later = headers["Signature-Input"].replace("created=0", "created=1")
    assert fault_of(headers | {"Signature-Input": later}) == SignatureFault.WRONG
    stranger = Ed25519PrivateKey.from_private_bytes(bytes(32))
    assert fault_of(headers_of(sign=stranger.sign)) == SignatureFault.WRONG


def test_a_stranger_is_refused() -> None:
    assert fault_of(headers_of(), public_key_of=lambda _: None) == SignatureFault.UNKNOWN_KEY


@pytest.mark.parametrize("name", ["Content-Digest", "Signature-Input", "Signature"])
def test_a_missing_header_is_named(name: str) -> None:
    headers = headers_of()
    del headers[name]
    assert fault_of(headers) == SignatureFault.MISSING


@pytest.mark.parametrize(
    "changed",
    [
        {"Signature": "beckon=:!:"},
        {"Signature": "beckon=:A:"},
        {"Signature": "other=:AAAA:"},
        {"Signature-Input": 'beckon=("@method");created=0;keyid="store-1";nonce="n";alg="ed25519"'},
        {"Signature-Input": 'beckon=("@method" "@target-uri" "content-digest");keyid="store-1";nonce="n"'},
        {
            "Signature-Input": 'beckon=("@method" "@target-uri" "content-digest")'
            ';created=0;keyid="store-1";keyid="store-2";nonce="n"'
        },
        {
            "Signature-Input": 'beckon=("@method" "@target-uri" "content-digest")'
            ';created=0;keyid="%ff";nonce="n"'
        },
        {
            "Signature-Input": 'beckon=("@method" "@target-uri" "content-digest")'
            ';created=0;keyid="store-1";nonce="n";alg="hmac-sha256"'
        },
        {"Signature-Input": "beckon=" + "x" * 5000},
    ],
)
def test_what_cannot_be_read_is_malformed(changed: dict[str, str]) -> None:
    assert fault_of(headers_of() | changed) == SignatureFault.MALFORMED


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=80))
def test_no_header_breaks_the_reader(signature: str, parameters: str, digest: str) -> None:
    headers = {"Content-Digest": digest, "Signature-Input": "beckon=" + parameters, "Signature": signature}
    assert fault_of(headers) in set(SignatureFault)


def test_a_nonce_that_no_header_may_hold_is_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="nonce"):
        headers_of(nonce='a"b')
