"""Ed25519 keys and signatures: the only cryptography besides hashing."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from bedside.core.errors import BadInput
from bedside.runtime.files import disk_errors

KEY_BYTES = 32
SEAL_BYTES = 96
PRIVATE_NAME = "bedside.key"
PUBLIC_NAME = "bedside.pub"


def fingerprint(public: bytes) -> str:
    """Return a key's fingerprint: the first 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:16]


def keygen(folder: Path) -> tuple[Path, Path, str]:
    """Write a new pair of keys: ``bedside.key`` (its owner's alone) and ``bedside.pub``, PEM.

    Returns:
        The private file, the public file, the fingerprint.

    Raises:
        BadInput: a key is there already, or the folder cannot be written.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private_file, public_file = folder / PRIVATE_NAME, folder / PUBLIC_NAME
    for path in (private_file, public_file):
        if path.exists():
            raise BadInput("a key already exists here", where=path,
                           remedy="Choose another --out; a lost key cannot be recovered.")
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                               serialization.NoEncryption())
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _create(private_file, secret, 0o600)
        try:
            _create(public_file, public, 0o644)
        except OSError:
            private_file.unlink()
            raise
    return private_file, public_file, fingerprint(key.public_key().public_bytes_raw())


def _create(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())


def _private(path: Path) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    wrong = BadInput("not an Ed25519 private key in PEM without a passphrase", where=path,
                     remedy="Make one with bedside keygen.")
    try:
        key = load_pem_private_key(_read(path), None)
    except (ValueError, TypeError):
        raise wrong from None
    if not isinstance(key, Ed25519PrivateKey):
        raise wrong
    return key


def sign(private_file: Path, message: bytes) -> bytes:
    """Return a message's seal: public key (32 bytes), Ed25519 signature (64, RFC 8032).

    Raises:
        BadInput: not an unencrypted Ed25519 private key.
    """
    key = _private(private_file)
    seal: bytes = key.public_key().public_bytes_raw() + key.sign(message)
    return seal


def public_of(private_file: Path) -> bytes:
    """Return the public key (32 bytes) of a private key's file. Raises BadInput."""
    raw: bytes = _private(private_file).public_key().public_bytes_raw()
    return raw


def verified(seal: bytes, message: bytes) -> bytes | None:
    """Return the public key that signed ``message``; None for an invalid seal."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if len(seal) != SEAL_BYTES:
        return None
    public, signature = seal[:KEY_BYTES], seal[KEY_BYTES:]
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return None
    return public


def read_public(path: Path) -> bytes:
    """Return the 32 bytes of a public key file (PEM).

    Raises:
        BadInput: not an Ed25519 public key.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    wrong = BadInput("not an Ed25519 public key in PEM", where=path,
                     remedy="Give the bedside.pub that bedside keygen wrote.")
    try:
        key = load_pem_public_key(_read(path))
    except (ValueError, TypeError):
        raise wrong from None
    if not isinstance(key, Ed25519PublicKey):
        raise wrong
    return key.public_bytes_raw()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot be read ({error.strerror})", where=path,
                       remedy="Check the path and its permissions.") from None
