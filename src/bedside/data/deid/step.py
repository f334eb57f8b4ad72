"""One input from start to end: read, clean, write. Runs in a worker process of its own."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from bedside import codec, registry
from bedside.data.deid import dicom, key, pictures, profile
from bedside.data.deid.key import Key
from bedside.data.deid.ledger import Entry
from bedside.data.deid.outcome import UNREADABLE, CleanPixels, Outcome, Quarantine
from bedside.errors import BadInput, BedsideError
from bedside.runtime.files import disk_errors
from bedside.types import DeidConfig

# The search for text in pixels, "module:function" taking Stored and giving PixelOutcome. While
# there is none, every image is quarantined as not checked.
PIXELS: str | None = None
QUARANTINE, PREVIEWS = "quarantine", "previews"
MAX_BYTES = 1 << 30


def pixel_search() -> CleanPixels | None:
    """The installed search for text in pixels, None where there is none."""
    return None if PIXELS is None else registry.resolve(PIXELS)


def file(path: Path, secret: Key, config: DeidConfig, clean_pixels: CleanPixels | None = None,
         identity: str = "") -> Outcome:
    """De-identify one DICOM file or picture; never raises for what the file holds.

    Args:
        path: the original; it is only read.
        secret: the user's key.
        config: options; ``pixels="unchecked"`` passes images that nobody looked at.
        clean_pixels: looks for text burned into the image; without it every image is
            quarantined.
        identity: what tells the patient where the file does not.

    Raises:
        BadInput: an unknown option, or the file cannot be read at all.
        MissingComponent: pydicom or the profile's table is not installed.
    """
    data = _bytes(path)
    accept = config.pixels == "unchecked"
    table = profile.load(config.options)
    try:
        if dicom.looks_like(data[:132]) or path.suffix.lower() in (".dcm", ".dicom", ".ima"):
            return dicom.deidentify(data, table, secret, clean_pixels, accept, identity)
        if pictures.looks_like(data[:16]):
            return pictures.deidentify(data, clean_pixels, accept)
    except Quarantine as error:
        return Outcome(error.kind, "quarantined", error.reason)
    except RecursionError:
        return Outcome("dicom", "quarantined", "sequences nested too deeply")
    except BedsideError:
        raise
    except MemoryError:
        raise
    except Exception:
        # Never the message: parsers put the values they stumble on into it.
        return Outcome("dicom" if dicom.looks_like(data[:132]) else "other", "quarantined",
                       UNREADABLE)
    return Outcome("other", "quarantined", "not a kind of file that is cleaned")


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInput("larger than 1 GB")
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot be read ({error.strerror})") from None


def process(blob: bytes, source: str, stem: str, folder: str, out: str, private: str,
            secret: str, config: dict[str, Any]) -> tuple[dict[str, Any], tuple[()]]:
    """One request of a worker (:mod:`bedside.data.readers.sandbox`).

    Args:
        blob: unused.
        source: the original.
        stem: its new name without suffix.
        folder: its new folder under ``out``, empty for none.
        out: the stage's scratch folder; receives a file that passed.
        private: receives the candidate and the preview of one that did not.
        secret: the key, in hexadecimal.
        config: :class:`~bedside.types.DeidConfig` as plain data.

    Returns:
        An :class:`~bedside.data.deid.ledger.Entry` as plain data, without id and original.
    """
    holder = Key(bytes.fromhex(secret))
    settings = codec.decode(DeidConfig, config)
    path = Path(source)
    found = file(path, holder, settings, pixel_search(), f"{stem}")
    sha256 = hashlib.sha256(_bytes(path)).hexdigest()
    name = ""
    if found.data is not None:
        name = f"{folder}/{stem}{found.suffix}" if folder else stem + found.suffix
        if found.status == "ok":
            target = Path(out) / name
            with disk_errors(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(found.data)
        else:
            name = f"{QUARANTINE}/{stem}{found.suffix}"
            key.write_private(Path(private) / name, found.data)
    if found.preview is not None:
        key.write_private(Path(private) / PREVIEWS / f"{stem}.png", found.preview)
    after = hashlib.sha256(found.data).hexdigest() if found.data is not None else ""
    entry = Entry("", found.kind, found.status, found.reason, name, found.patient,
                  holder.digest("original", sha256).hex(), after, found.actions, "", sha256,
                  found.identity)
    return codec.encode(entry), ()
