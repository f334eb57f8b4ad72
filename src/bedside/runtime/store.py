"""Store of a device: its installed bundles, the active one, and the keys it trusts.

    STORE/bundles/<id>.zip    as they came; verified again each time one is opened
    STORE/active.json         the id of the active one; replaced in one step
    STORE/trust/<name>.pub    public keys that may sign
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.runtime.bundle import signing
from bedside.runtime.bundle.reader import Bundle, open_bundle, read_bytes
from bedside.runtime.files import write_bytes, write_text

ACTIVE = "active"


@dataclass(frozen=True, slots=True)
class Active:
    """``active.json``."""

    schema: int = 1
    active: str | None = None


def default_store() -> Path:
    """Return ``BEDSIDE_STORE``, else this system's folder for user data."""
    if os.environ.get("BEDSIDE_STORE"):
        return Path(os.environ["BEDSIDE_STORE"])
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "bedside"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local")) / "bedside"
    return Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share") / "bedside"


def trusted(store: Path, extra: tuple[Path, ...] = ()) -> frozenset[bytes]:
    """Return the public keys of the store and of ``--trust``. Raises BadInput for a non-key."""
    kept = sorted((store / "trust").glob("*.pub")) if (store / "trust").is_dir() else []
    return frozenset(signing.read_public(p) for p in (*kept, *extra))


def open_trusted(source: Path | bytes, store: Path, extra: tuple[Path, ...] = (),
                 where: str | None = None) -> Bundle:
    """Verify a bundle by this device's trust; with any trusted key, unsigned is refused."""
    keys = trusted(store, extra)
    return open_bundle(source, keys, allow_unsigned=not keys, where=where)


def installed(store: Path) -> tuple[list[str], str | None]:
    """Return the ids of the installed bundles, and the active one.

    Raises:
        BadInput: the store is a file, or its record of the active bundle does not read.
    """
    if store.is_file():
        raise BadInput("is a file; a bundle store is a folder", where=store,
                       remedy="Give the folder that bundles were installed in.")
    folder = store / "bundles"
    ids = sorted(p.stem for p in folder.glob("*.zip")) if folder.is_dir() else []
    path = store / "active.json"
    active = codec.read_json(Active, path).active if path.is_file() else None
    return ids, active


def find(store: Path, name: str) -> Path:
    """Return the file of an installed bundle by ``active``, its id or its id's beginning.

    Raises:
        BadInput: none, or several, are called so.
    """
    ids, active = installed(store)
    found = ([active] if active in ids else []) if name == ACTIVE else [
        i for i in ids if len(name) >= 4 and i.startswith(name)]
    if len(found) != 1:
        raise BadInput("no such file, and " + ("no active bundle" if name == ACTIVE else
                       f"{len(found) or 'no'} installed bundle of this id"), where=name,
                       remedy="Give a bundle's file, the id of an installed one, or a folder under "
                              "RUN/variants.")
    return store / "bundles" / f"{found[0]}.zip"


def keep(store: Path, bundle: Bundle, data: bytes, trust: tuple[Path, ...] = ()) -> None:
    """Put a verified and tested bundle into the store and make it the active one.

    The file is whole before ``active.json`` names it, so a kill leaves the one before active.
    """
    write_bytes(store / "bundles" / f"{bundle.id}.zip", data)
    for path in trust:
        public = signing.read_public(path)
        write_bytes(store / "trust" / f"{signing.fingerprint(public)}.pub", path.read_bytes())
    activate(store, bundle.id)


def activate(store: Path, bundle_id: str) -> None:
    """Switch to an installed bundle in one step."""
    write_text(store / "active.json", codec.to_json(Active(active=bundle_id)))


def read_source(source: Path, store: Path) -> tuple[bytes, str]:
    """Return the bytes of a bundle's file or of an installed one, and its name for messages."""
    path = source if source.exists() else find(store, str(source))
    return read_bytes(path), str(source)
