"""The user's key, stored so that only its owner can read it."""

from __future__ import annotations

import secrets
import stat
from pathlib import Path

from bedside.core.errors import BadInput
from bedside.readers.keyed import MAX_SHIFT_DAYS as MAX_SHIFT_DAYS
from bedside.readers.keyed import Key as Key
from bedside.runtime.files import disk_errors, write_bytes

FILE = "deid.key"
_BYTES = 32


def private_dir(folder: Path) -> None:
    """Create a folder that only its owner can open (mode 0700), or check that it is one.

    Raises:
        BadInput: it exists, is not empty, and others may look into it; or it cannot be made.
    """
    with disk_errors(folder):
        if not folder.exists():
            folder.mkdir(parents=True, mode=0o700)
        if not folder.is_dir():
            raise BadInput("not a folder", where=folder, remedy="Choose another --private.")
        if stat.S_IMODE(folder.stat().st_mode) & 0o077:
            if any(folder.iterdir()):
                raise BadInput("other users may open this folder", where=folder,
                               remedy=f"Close it (chmod 700 {folder}) or choose another.")
            folder.chmod(0o700)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read (mode 0600), whole or not at all."""
    write_bytes(path, data, 0o600)


def new_key() -> Key:
    """Return a new random key."""
    return Key(secrets.token_bytes(_BYTES))


def keep_key(private: Path, secret: Key) -> None:
    """Write a new key into ``private``, which is created where it is missing."""
    private_dir(private)
    write_private(private / FILE, (secret.secret.hex() + "\n").encode())


def find_key(private: Path, path: Path | None = None) -> Key | None:
    """Return the key of ``private`` or of the user's own file, None where there is none yet.

    Raises:
        BadInput: others may read the file, it holds no key, or ``path`` does not exist.
    """
    if private.exists():
        private_dir(private)
    file = path or private / FILE
    if not file.exists():
        if path is not None:
            raise BadInput("no such key file", where=path, remedy="Check --key.")
        return None
    try:
        if stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise BadInput("other users may read this key", where=file,
                           remedy=f"Close it (chmod 600 {file}).")
        secret = bytes.fromhex(file.read_text(encoding="ascii").strip())
    except OSError as error:
        raise BadInput(f"the key cannot be read ({error.strerror})", where=file,
                       remedy="Check the file and its permissions.") from None
    except ValueError:
        secret = b""
    if len(secret) < _BYTES:
        raise BadInput(f"not a key ({_BYTES} bytes or more, in hexadecimal)", where=file,
                       remedy="Restore it; without it the same patient gets another name.")
    return Key(secret)
