"""``bedside web``: the app with its bundles as a folder for any web server."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from bedside.deploy import app_files
from bedside.errors import BadInput
from bedside.runtime.bundle.reader import Bundle, keys, open_bundle, read_bytes
from bedside.runtime.files import disk_errors

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

    Raises:
        BadInput: ``out`` holds something else.
        GateFailed: a bundle does not verify.
        MissingComponent: the app is not built here.
    """
    names = app_files.names()
    opened, trusted = open_for_app(paths, trust)
    if out.exists() and not (out / app_files.APP_JSON).is_file() and (
            not out.is_dir() or any(out.iterdir())):
        raise BadInput("holds something other than an export of the app", where=out,
                       remedy="Choose another --out.")
    scratch = out.with_name(f".{out.name}.{os.getpid()}.part")
    with disk_errors(out):
        try:
            shutil.rmtree(scratch, ignore_errors=True)
            for name in names:
                found = app_files.read(name)
                assert found is not None
                if not name.startswith("lab"):
                    _write(scratch / name, found.plain())
            for bundle, data in opened:
                _write(scratch / app_files.bundle_path(bundle), data)
            _write(scratch / app_files.APP_JSON,
                   app_files.app_json([b for b, _ in opened], trusted))
            lines = "".join(f"  {k}: {v}\n" for k, v in app_files.HEADERS.items())
            _write(scratch / _HEADERS_FILE, f"/*\n{lines}".encode())
            if out.exists():
                shutil.rmtree(out)
            scratch.replace(out)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return [b for b, _ in opened]


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
