"""The lab's own certificate authority, so that phones treat its pages as secure (HTTPS).

It can vouch for addresses of private networks and ``.local`` names only (name constraints, RFC
5280 section 4.2.1.10): a phone that trusts it cannot be fooled about any site of the internet.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path

from bedside.core.errors import BadInput
from bedside.runtime.files import disk_errors

CA_NAME = "bedside lab"
_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8",
            "100.64.0.0/10")
_LOCAL_NAME = re.compile(r"(localhost|([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+local)\Z", re.I)
_CA_DAYS = 825
_LEAF_DAYS = 30


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files for a TLS server, and the authority's certificate for phones to install."""

    certificate: Path
    key: Path
    authority: Path
    fingerprint: str


def default_folder() -> Path:
    """Return the folder of the authority, which a phone installs once."""
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "bedside" / "lab"


def certificates(addresses: list[str], folder: Path) -> Certificates:
    """Return a certificate for addresses or names of this machine; makes the authority once.

    Raises:
        BadInput: an address outside private networks, or an authority that does not read.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        authority, authority_key = _authority(folder)
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        leaf = (
            x509.CertificateBuilder()
            # Not the authority's name: a certificate that names itself as issuer is self-signed.
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bedside server")]))
            .issuer_name(authority.subject).public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=_LEAF_DAYS))
            .add_extension(x509.SubjectAlternativeName([_name(a) for a in addresses]), False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(
                authority_key.public_key()), False)
            .sign(authority_key, hashes.SHA256()))
        pem = serialization.Encoding.PEM
        chain = leaf.public_bytes(pem) + authority.public_bytes(pem)
        _write(folder / "server.pem", chain, 0o644)
        _write(folder / "server.key", key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()), 0o600)
    digest = hashlib.sha256(authority.public_bytes(serialization.Encoding.DER)).hexdigest()
    return Certificates(folder / "server.pem", folder / "server.key", folder / "authority.crt",
                        ":".join(digest[i:i + 2] for i in range(0, 32, 2)).upper())


def _name(address: str):  # type: ignore[no-untyped-def]
    from cryptography import x509

    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        if not _LOCAL_NAME.match(address):
            raise BadInput("neither an IP address nor a .local name, and no certificate of the lab "
                           "may name anything else", where=address,
                           remedy="Give an address of the local network or a .local name, or run "
                                  "with --http-only.") from None
        return x509.DNSName(address)
    if not any(found in ipaddress.ip_network(n) for n in _PRIVATE):
        raise BadInput("not an address of a private network", where=address,
                       remedy="Run the lab in a local network, or with --http-only.")
    return x509.IPAddress(found)


def _authority(folder: Path):  # type: ignore[no-untyped-def]
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    certificate_file, key_file = folder / "authority.crt", folder / "authority.key"
    pem = serialization.Encoding.PEM
    now = datetime.datetime.now(datetime.UTC)
    if certificate_file.is_file() and key_file.is_file():
        try:
            found = x509.load_pem_x509_certificate(certificate_file.read_bytes())
            old = serialization.load_pem_private_key(key_file.read_bytes(), None)
        except ValueError:
            raise BadInput("the lab's certificate authority does not read", where=folder,
                           remedy="Delete the folder; phones must install the new one.") from None
        if found.not_valid_after_utc > now + datetime.timedelta(days=_LEAF_DAYS):
            return found, old
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, CA_NAME)])
    permitted: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_network(n)) for n in _PRIVATE]
    permitted += [x509.DNSName("local"), x509.DNSName("localhost")]
    made = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=_CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .add_extension(x509.NameConstraints(permitted, None), True)
        .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False),
                       True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .sign(key, hashes.SHA256()))
    _write(key_file, key.private_bytes(pem, serialization.PrivateFormat.PKCS8,
                                       serialization.NoEncryption()), 0o600)
    _write(certificate_file, made.public_bytes(pem), 0o644)
    return made, key


def _write(path: Path, data: bytes, mode: int) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(data)
