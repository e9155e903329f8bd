"""The home's own certificate authority and the server certificate under it, by ``cryptography``.

Decides key type, life spans and extensions. ECDSA P-256, because Chromium refuses Ed25519 certificates. The
authority is limited by name constraints to this machine and its branch, so that trusting it risks nothing else.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from provisioning.adapters.home_files import read_private, write_private
from provisioning.faults import WorkFailed

_CA_LIFE = timedelta(days=3652)
# Short, so that renewal is exercised long before anybody depends on it; well below the 398 days that browsers allow.
_SERVER_LIFE = timedelta(days=90)
_RENEW_BELOW = timedelta(days=30)
# A phone's clock may be behind ours.
_BACKDATED = timedelta(days=1)
_ADDRESSES = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
_NETWORKS = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))


def ensure_certificates(folder: Path, *, portal_name: str, now: datetime) -> None:
    """Make what is missing, outdated or for another name: ``ca.pem``, ``ca-key.pem``, ``server.pem``, ``server-key.pem``.

    The authority stays for as long as it lives and covers the portal's name, because people were told to trust it.
    Errors: WorkFailed naming the file that is damaged.
    """
    authority, key = _authority(folder, portal_name, now)
    current, has_key = _read_certificate(folder / "server.pem"), (folder / "server-key.pem").exists()
    if current is None or not has_key or not _serves(current, authority, portal_name, now):
        _make_server_certificate(folder, authority, key, portal_name, now)


def _authority(
    folder: Path, portal_name: str, now: datetime
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    certificate, key_file = _read_certificate(folder / "ca.pem"), folder / "ca-key.pem"
    if certificate is not None and key_file.exists() and _may_sign_for(certificate, portal_name, now):
        key = _read_key(key_file)
        if key.public_key() != certificate.public_key():
            raise WorkFailed(
                f"{key_file} is not the key of {folder / 'ca.pem'}; remove both to make new ones"
            )
        return certificate, key
    return _make_authority(folder, portal_name, now)


def _may_sign_for(authority: x509.Certificate, portal_name: str, now: datetime) -> bool:
    """Whether a server certificate fits within the authority's life and name constraints."""
    limits = authority.extensions.get_extension_for_class(x509.NameConstraints).value
    names = {name.value for name in limits.permitted_subtrees or ()}
    return now + _SERVER_LIFE < authority.not_valid_after_utc and portal_name in names


def _serves(
    certificate: x509.Certificate, authority: x509.Certificate, portal_name: str, now: datetime
) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return (
        list(names) == list(_server_names(portal_name))
        and now + _RENEW_BELOW < certificate.not_valid_after_utc
    )


def _server_names(portal_name: str) -> Iterator[x509.GeneralName]:
    yield from (x509.IPAddress(address) for address in _ADDRESSES)
    yield from (x509.DNSName(name) for name in ("localhost", portal_name))


def _make_authority(
    folder: Path, portal_name: str, now: datetime
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    # The serial makes the name unique: browsers mix up two authorities of the same name.
    serial = x509.random_serial_number()
    name = _name(f"Beckon home authority {serial:x}"[:40])
    allowed: list[x509.GeneralName] = [x509.IPAddress(network) for network in _NETWORKS]
    allowed += [x509.DNSName("localhost"), x509.DNSName(portal_name)]
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), serial)
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.NameConstraints(allowed, None), critical=True)
        .sign(key, hashes.SHA256())
    )
    write_private(folder / "ca-key.pem", _key_bytes(key))
    write_private(folder / "ca.pem", certificate.public_bytes(serialization.Encoding.PEM))
    return certificate, key


def _make_server_certificate(
    folder: Path,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    portal_name: str,
    now: datetime,
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer_id = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    certificate = (
        x509.CertificateBuilder(
            authority.subject, _name(portal_name), key.public_key(), x509.random_serial_number()
        )
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _SERVER_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_server_names(portal_name)), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_id), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )
    # Key first: a stop in between leaves a certificate of another key, which the agent's start would refuse, so
    # the certificate is taken away before.
    (folder / "server.pem").unlink(missing_ok=True)
    write_private(folder / "server-key.pem", _key_bytes(key))
    write_private(folder / "server.pem", certificate.public_bytes(serialization.Encoding.PEM))


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _key_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _read_certificate(path: Path) -> x509.Certificate | None:
    pem = read_private(path)
    if pem is None:
        return None
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as damaged:
        raise WorkFailed(f"{path} is no certificate; remove it to have a new one made") from damaged


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError) as damaged:
        raise WorkFailed(f"{path} is no private key; remove it to have a new one made") from damaged
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise WorkFailed(f"{path} is no ECDSA key; remove it to have a new one made")
    return key
