"""``bedside web``: the app with its bundles as a folder for any web server."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from bedside.core.errors import BadInput
from bedside.runtime.bundle.reader import Bundle, keys, open_bundle, read_bytes
from bedside.runtime.files import disk_errors
from bedside.services.app import files

# Read by several hosts of static files; elsewhere the service worker adds what threads need.
_HEADERS_FILE = "_headers"


def open_for_app(paths: Sequence[Path], trust: Sequence[Path]
                 ) -> tuple[list[tuple[Bundle, bytes]], frozenset[bytes]]:
    """Verify bundles as the app will, and read the keys it shall trust.

    Raises:
        GateFailed: a bundle does not verify.
        BadInput: a file cannot be read, or the build is not one that a browser runs.
    """
    trusted = keys(trust)
    opened = []
    for path in paths:
        data = read_bytes(path)
        bundle = open_bundle(data, trusted, allow_unsigned=not trusted, where=str(path))
        if bundle.manifest.model.format != "tflite":
            raise BadInput(f"a build in the format {bundle.manifest.model.format!r}; a browser "
                           "runs tflite", where=path,
                           remedy="Bundle the variant for the target cpu.")
        opened.append((bundle, data))
    return opened, trusted


def export(paths: Sequence[Path], out: Path, trust: Sequence[Path] = ()) -> list[Bundle]:
    """Write the app and its bundles into ``out``, whole or not at all.

    An older export there stays whole until the new one takes its place. What a kill in between
    left aside comes back at the next export.

    Raises:
        BadInput: ``out`` holds something else.
        GateFailed: a bundle does not verify.
        MissingComponent: the app is not built here.
    """
    place = out.resolve()
    aside = place.with_name(f".{place.name}.bedside-old")
    with disk_errors(out):
        _settle(place, aside)
    names = files.names()
    opened, trusted = open_for_app(paths, trust)
    if out.exists() and not (out / files.APP_JSON).is_file() and (
            not out.is_dir() or any(out.iterdir())):
        raise BadInput("holds something other than an export of the app", where=out,
                       remedy="Choose another --out.")
    scratch = place.with_name(f".{place.name}.{os.getpid()}.part")
    with disk_errors(out):
        try:
            shutil.rmtree(scratch, ignore_errors=True)
            for name in names:
                found = files.read_plain(name)
                assert found is not None
                if not name.startswith("lab"):
                    _write(scratch / name, found.data)
            for bundle, data in opened:
                _write(scratch / files.bundle_path(bundle), data)
            _write(scratch / files.APP_JSON, files.app_json([b for b, _ in opened], trusted))
            lines = "".join(f"  {k}: {v}\n" for k, v in files.HEADERS.items())
            _write(scratch / _HEADERS_FILE, f"/*\n{lines}".encode())
            if place.exists():
                place.replace(aside)
            scratch.replace(place)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            _settle(place, aside)
    return [b for b, _ in opened]


def _settle(place: Path, aside: Path) -> None:
    """Remove the older export that was moved aside, or bring it back where no newer one came."""
    if place.exists():
        shutil.rmtree(aside, ignore_errors=True)
    elif aside.exists():
        aside.replace(place)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
