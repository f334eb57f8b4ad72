"""De-identify one input in a worker process: read, clean, write."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath
from typing import Any

from bedside.core import codec, registry
from bedside.core.errors import BadInput, BedsideError
from bedside.core.types import DeidConfig
from bedside.deid import dicom, image_files, key, names, profile
from bedside.deid.key import Key
from bedside.deid.ledger import Entry
from bedside.deid.outcome import UNREADABLE, CleanPixels, Outcome, Quarantine
from bedside.deid.text import ocr
from bedside.readers.dicom_header import MAX_FILE_BYTES, looks_like_dicom
from bedside.readers.file_kinds import HEAD_BYTES, kind_of
from bedside.runtime.files import disk_errors

# The search for text in pixels, "module:function" taking Stored and giving PixelOutcome. Where
# there is none, every image is quarantined as not checked.
SEARCH = "bedside.deid.text.remove:clean"
PIXELS: str | None = SEARCH
QUARANTINE, PREVIEWS = "quarantine", "previews"


def pixel_search() -> CleanPixels | None:
    """Return the installed text search, None where there is none."""
    return None if PIXELS is None else registry.resolve(PIXELS)


def check_search(config: DeidConfig) -> None:
    """Raise MissingComponent where the text search is wanted and its engine is not installed."""
    if config.pixels != "unchecked" and PIXELS == SEARCH:
        ocr.check()


def file(path: Path, secret: Key, config: DeidConfig, clean_pixels: CleanPixels | None = None,
         identity: str = "") -> Outcome:
    """De-identify one DICOM file or image; never raise for what the file holds.

    Args:
        path: the original; it is only read.
        secret: the user's key.
        config: options; ``pixels="unchecked"`` passes images without a text search.
        clean_pixels: the search for burned-in text; without it every image is
            quarantined.
        identity: the patient's where the file has none.

    Raises:
        BadInput: an unknown option, or the file cannot be read at all.
        MissingComponent: pydicom or the profile's table is not installed.
    """
    data = _bytes(path)
    accept = config.pixels == "unchecked"
    table = profile.load(config.options)
    try:
        if looks_like_dicom(data[:256]) or path.suffix.lower() in (".dcm", ".dicom", ".ima"):
            return dicom.deidentify(data, table, secret, clean_pixels, accept, identity)
        if image_files.looks_like(data[:16]):
            return image_files.deidentify(data, clean_pixels, accept, config.pixels == "clean",
                                          names.image_of_mask(PurePosixPath(path.name)) is not None)
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
        return Outcome("dicom" if looks_like_dicom(data[:256]) else "other", "quarantined",
                       UNREADABLE)
    kind = kind_of(data[:HEAD_BYTES], path.suffix)
    if kind is not None:
        return Outcome("other", "quarantined", f"{kind.name}, which is not cleaned. {kind.remedy}")
    return Outcome("other", "quarantined", "not a kind of file that is cleaned")


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise BadInput(f"more than {MAX_FILE_BYTES >> 20} MB")
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot be read ({error.strerror})") from None


def process(blob: bytes, source: str, stem: str, folder: str, out: str, private: str,
            secret: str, config: dict[str, Any]) -> tuple[dict[str, Any], tuple[()]]:
    """Serve one request of a worker (:mod:`bedside.readers.sandbox`).

    Args:
        blob: unused.
        source: the original.
        stem: its new name without suffix.
        folder: its new folder under ``out``, empty for none.
        out: the stage's scratch folder; receives a file that passed.
        private: receives the candidate and the preview of one that did not.
        secret: the key, in hexadecimal.
        config: :class:`~bedside.core.types.DeidConfig` as plain data.

    Returns:
        ``entry``, an :class:`~bedside.deid.ledger.Entry` as plain data without id and
        original; or ``stop``, ``where`` and ``remedy`` where a disk takes no more.
    """
    holder = Key(bytes.fromhex(secret))
    settings = codec.decode(DeidConfig, config)
    path = Path(source)
    search = None if settings.pixels == "unchecked" else pixel_search()
    found = file(path, holder, settings, search, f"{stem}")
    sha256 = hashlib.sha256(_bytes(path)).hexdigest()
    try:
        name = _write(found, stem, folder, Path(out), Path(private))
    except BadInput as error:
        inside = Path(str(error.where)).is_relative_to(private)
        return {"stop": error.fault, "remedy": error.remedy,
                "where": private if inside else out}, ()
    after = hashlib.sha256(found.data).hexdigest() if found.data is not None else ""
    entry = Entry("", found.kind, found.status, found.reason, name, found.patient,
                  holder.digest("original", sha256).hex(), after, found.actions, "", sha256,
                  found.identity, found.device)
    return {"entry": codec.encode(entry)}, ()


def _write(found: Outcome, stem: str, folder: str, out: Path, private: Path) -> str:
    """Write a file's outcome and return its name, empty for none."""
    name = ""
    if found.data is not None and found.status == "ok":
        name = names.join(folder, stem + found.suffix)
        with disk_errors(out / name):
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_bytes(found.data)
    elif found.data is not None:
        name = f"{QUARANTINE}/{stem}{found.suffix}"
        key.write_private(private / name, found.data)
    if found.preview is not None and found.status != "ok":
        key.write_private(private / PREVIEWS / f"{stem}.png", found.preview)
    return name
