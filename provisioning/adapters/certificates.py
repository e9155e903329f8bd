"""HQ's root as a folder keeps it, and what it issues: servers' certificates and HQ's sealing authority, by ``cryptography``.

Decides key type, life spans and extensions. ECDSA P-256, because Chromium refuses Ed25519 certificates. The root is
limited by name constraints to this machine and the names that it was made for, so that trusting it risks nothing else.
Agents pin it, and they know it by its name and key: a root that must change (one more name, its end near, or one that may
not have an authority under it, as the first version made them) is issued anew under the same name and key, and whoever
trusts the old one goes on. Servers' certificates come with the root behind them, by whose fingerprint a claim code knows it.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from typing_extensions import override

from engagement.line.certificates import has_issued
from provisioning.adapters.home_files import read_private, write_private
from provisioning.faults import ConfigurationWrong, WorkFailed
from provisioning.ports import Certified, HqRefused, Root

# HQ's authority below it, and below that the agents' certificates, which issue nothing.
_PATH_LENGTH = 1
_CA_LIFE = timedelta(days=3652)
# Short, so that renewal is exercised long before anybody depends on it; well below the 398 days that browsers allow.
_SERVER_LIFE = timedelta(days=90)
# Of an HQ on a machine of its own, where a person carries the request to the desk; browsers allow 398 days.
_HQ_LIFE = timedelta(days=397)
_NAMES_MAX = 20
_RSA_BITS_MIN = 2048
_RENEW_BELOW = timedelta(days=30)
# A phone's clock may be behind ours.
_BACKDATED = timedelta(days=1)
# Source: X.520, ub-common-name.
_COMMON_NAME_CHARS_MAX = 64
_ADDRESSES = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
_NETWORKS = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))


class ServerCertificate(NamedTuple):
    """``chain_pem``: the server's own, and the root behind it; ``names`` as it may be called."""

    chain_pem: str
    names: tuple[str, ...]


def ensure_certificates(folder: Path, *, portal_name: str, now: datetime) -> None:
    """Make what is missing, outdated or for another name: ``ca.pem``, ``ca-key.pem``, ``server.pem``, ``server-key.pem``.

    The authority's key and name stay for ever, because people were told to trust it and agents have pinned it.
    Errors: WorkFailed naming the file that is damaged.
    """
    authority, key = _authority(folder, [x509.DNSName(portal_name)], now, _SERVER_LIFE)
    current, has_key = _read_chain(folder / "server.pem"), (folder / "server-key.pem").exists()
    if not has_key or not _serves(current, authority, portal_name, now):
        _make_server_certificate(folder, authority, key, portal_name, now)


def certify_server(folder: Path, request_pem: bytes, *, now: datetime) -> ServerCertificate:
    """Certify HQ's TLS key for the names in its request, by the folder's root, which is made where there is none.

    Errors: ConfigurationWrong when the request is none of a server; WorkFailed when a file of the root is damaged.
    """
    request, names = _read_server_request(request_pem)
    root, key = _authority(folder, names, now, _HQ_LIFE)
    certificate = _server_certificate(root, request.public_key(), names, now, _HQ_LIFE).sign(
        key, hashes.SHA256()
    )
    return ServerCertificate(_pem_of(certificate, root), tuple(str(name.value) for name in names))


def _authority(
    folder: Path, names: Sequence[x509.GeneralName], now: datetime, life: timedelta
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """The root, which may issue a certificate of that life for these names."""
    certificate, key_file = _read_certificate(folder / "ca.pem"), folder / "ca-key.pem"
    if certificate is not None and key_file.exists():
        key = _read_key(key_file)
        if key.public_key() != certificate.public_key():
            raise WorkFailed(
                f"{key_file} is not the key of {folder / 'ca.pem'}; remove both to make new ones"
            )
        before = _allowed_by(certificate)
        wanted = [*before, *(name for name in _allowing(names) if name not in before)]
        depth = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
        if wanted != before or depth != _PATH_LENGTH or now + life >= certificate.not_valid_after_utc:
            certificate = _root_certificate(certificate.subject, key, wanted, now)
            write_private(folder / "ca.pem", certificate.public_bytes(Encoding.PEM))
        return certificate, key
    return _make_authority(folder, _allowing(names), now)


def _allowed_by(authority: x509.Certificate) -> list[x509.GeneralName]:
    """Errors: WorkFailed for a root that was not made here, which is not ours to issue anew."""
    try:
        limits = authority.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound as foreign:
        raise WorkFailed(
            "ca.pem is no root that this program made: it limits no names. Certify servers with the program that made it"
        ) from foreign
    return list(limits.permitted_subtrees or ())


def _allowing(names: Sequence[x509.GeneralName]) -> list[x509.GeneralName]:
    """The constraints of a root for these names, and for the machine that it is on."""
    machine: list[x509.GeneralName] = [x509.IPAddress(network) for network in _NETWORKS]
    machine.append(x509.DNSName("localhost"))
    return machine + [
        x509.IPAddress(ip_network(name.value)) if isinstance(name, x509.IPAddress) else name for name in names
    ]


def _serves(
    chain: Sequence[x509.Certificate], authority: x509.Certificate, portal_name: str, now: datetime
) -> bool:
    if len(chain) != 2 or chain[1] != authority or not has_issued(authority, chain[0]):
        return False
    certificate = chain[0]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return (
        list(names) == list(_server_names(portal_name))
        and now + _RENEW_BELOW < certificate.not_valid_after_utc
    )


def _server_names(portal_name: str) -> Iterator[x509.GeneralName]:
    yield from (x509.IPAddress(address) for address in _ADDRESSES)
    yield from (x509.DNSName(name) for name in ("localhost", portal_name))


def _make_authority(
    folder: Path, allowed: Sequence[x509.GeneralName], now: datetime
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    # The serial makes the name unique: browsers mix up two authorities of the same name.
    serial = x509.random_serial_number()
    certificate = _root_certificate(_name(f"Beckon home authority {serial:x}"[:40]), key, allowed, now)
    write_private(folder / "ca-key.pem", _key_bytes(key))
    write_private(folder / "ca.pem", certificate.public_bytes(Encoding.PEM))
    return certificate, key


def _root_certificate(
    name: x509.Name, key: ec.EllipticCurvePrivateKey, allowed: Sequence[x509.GeneralName], now: datetime
) -> x509.Certificate:
    return (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=_PATH_LENGTH), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.NameConstraints(allowed, None), critical=True)
        .sign(key, hashes.SHA256())
    )


def _make_server_certificate(
    folder: Path,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    portal_name: str,
    now: datetime,
) -> None:
    key, names = ec.generate_private_key(ec.SECP256R1()), list(_server_names(portal_name))
    builder = _server_certificate(authority, key.public_key(), names, now, _SERVER_LIFE)
    certificate = builder.sign(authority_key, hashes.SHA256())
    # Key first: a stop in between leaves a certificate of another key, which the agent's start would refuse, so
    # the certificate is taken away before.
    (folder / "server.pem").unlink(missing_ok=True)
    write_private(folder / "server-key.pem", _key_bytes(key))
    write_private(folder / "server.pem", _pem_of(certificate, authority).encode())


def _server_certificate(
    authority: x509.Certificate,
    key: CertificatePublicKeyTypes,
    names: Sequence[x509.GeneralName],
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    """To be signed by the authority's key. The last host name is the common one, which OpenSSL takes for a host's where it
    looks like one: an address there would break the root's name constraints."""
    hosts = [name.value for name in names if isinstance(name, x509.DNSName)]
    common = _name(hosts[-1] if hosts and len(hosts[-1]) <= _COMMON_NAME_CHARS_MAX else "Beckon HQ")
    return (
        x509.CertificateBuilder(authority.subject, common, key, x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(_issued_by(authority), critical=False)
    )


def _pem_of(*certificates: x509.Certificate) -> str:
    return "".join(each.public_bytes(Encoding.PEM).decode() for each in certificates)


class FolderRoot(Root):
    """The root in a home's folder of certificates. Errors of every method: WorkFailed when there is none, or a damaged one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    @override
    def pem(self) -> str:
        return _pem_of(self._certificate())

    @override
    def certify(self, request_pem: str) -> Certified:
        root, request = self._certificate(), _read_request(request_pem)
        certificate = (
            x509.CertificateBuilder(
                root.subject, request.subject, request.public_key(), x509.random_serial_number()
            )
            .not_valid_before(root.not_valid_before_utc)
            .not_valid_after(root.not_valid_after_utc)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(request.public_key()), critical=False)
            .add_extension(_issued_by(root), critical=False)
            .sign(_read_key(self._folder / "ca-key.pem"), hashes.SHA256())
        )
        return Certified(_pem_of(certificate), _pem_of(root))

    def _certificate(self) -> x509.Certificate:
        root = _read_certificate(self._folder / "ca.pem")
        if root is None or not (self._folder / "ca-key.pem").exists():
            raise WorkFailed(f"{self._folder} holds no root (ca.pem and ca-key.pem); `beckon up` makes one")
        return root


def _read_request(request_pem: str) -> x509.CertificateSigningRequest:
    refused = HqRefused("its request for a certificate is none of an Ed25519 key")
    try:
        request = x509.load_pem_x509_csr(request_pem.encode())
    except ValueError as malformed:
        raise refused from malformed
    if not request.is_signature_valid or not isinstance(request.public_key(), ed25519.Ed25519PublicKey):
        raise refused
    return request


def _read_server_request(
    request_pem: bytes,
) -> tuple[x509.CertificateSigningRequest, list[x509.GeneralName]]:
    """With the names that it asks for. Errors: ConfigurationWrong."""
    try:
        request = x509.load_pem_x509_csr(request_pem)
        is_whole, key = request.is_signature_valid, request.public_key()
        asked = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound as nameless:
        raise ConfigurationWrong(
            "the request names no server; allowed: a subjectAltName of DNS and IP"
        ) from nameless
    except (ValueError, UnsupportedAlgorithm) as malformed:
        raise ConfigurationWrong("the request cannot be read; allowed: PKCS #10 in PEM") from malformed
    if not is_whole or not _is_servers_key(key):
        raise ConfigurationWrong(
            "the request's key is of no use; allowed: ECDSA, or RSA of 2048 bits and more"
        )
    names: list[x509.GeneralName] = list(asked)
    if len(names) > _NAMES_MAX or not all(_is_servers_name(name) for name in names):
        raise ConfigurationWrong(
            f"the request asks for {[str(name.value) for name in names]}; allowed: up to {_NAMES_MAX} names of hosts and "
            "IP addresses, without wildcards"
        )
    return request, names


def _is_servers_key(key: object) -> bool:
    return isinstance(key, ec.EllipticCurvePublicKey) or (
        isinstance(key, rsa.RSAPublicKey) and key.key_size >= _RSA_BITS_MIN
    )


def _is_servers_name(name: x509.GeneralName) -> bool:
    return isinstance(name, x509.IPAddress) or (
        isinstance(name, x509.DNSName) and name.value != "" and "*" not in name.value
    )


def _issued_by(authority: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    own_id = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own_id)


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
    return key.private_bytes(Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _read_certificate(path: Path) -> x509.Certificate | None:
    return next(iter(_read_chain(path)), None)


def _read_chain(path: Path) -> list[x509.Certificate]:
    """Empty when there is no such file. Errors: WorkFailed."""
    pem = read_private(path)
    if pem is None:
        return []
    try:
        return x509.load_pem_x509_certificates(pem)
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
