"""The files of the built web app in this package, with their content types and headers."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path, PurePosixPath

from bedside.core.errors import MissingComponent
from bedside.runtime.bundle.reader import Bundle

APP_JSON = "app.json"
_TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
          ".css": "text/css; charset=utf-8", ".json": "application/json", ".png": "image/png",
          ".svg": "image/svg+xml", ".wasm": "application/wasm", ".txt": "text/plain; charset=utf-8",
          ".webmanifest": "application/manifest+json", ".zip": "application/zip"}

# The policy also stands in the pages, for hosts that send no headers.
CSP = ("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
       "img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; "
       "worker-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
       "frame-ancestors 'none'")

# Threads in WebAssembly need the page isolated from others (COOP and COEP).
HEADERS = {
    "Content-Security-Policy": CSP,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}


@dataclass(frozen=True, slots=True)
class AppFile:
    """One file of the app. ``gzipped``: ``data`` is compressed, to be sent as it is."""

    data: bytes
    media_type: str
    gzipped: bool


def app_dir() -> Path:
    """Return the folder of the built app.

    Raises:
        MissingComponent: this installation was made from source without building it.
    """
    folder = Path(str(resources.files("bedside.services.app") / "dist"))
    if not (folder / "index.html").is_file():
        raise MissingComponent(
            "the web app is not built in this source installation",
            remedy="Run 'make app' in the checkout (it needs Node.js 20 and npm), or install a "
                   "wheel, which carries it built.")
    return folder


def media_type(name: str) -> str:
    """Return the content type of a file of the app, by its suffix."""
    return _TYPES.get(PurePosixPath(name).suffix, "application/octet-stream")


def names() -> tuple[str, ...]:
    """Return every file of the app, sorted; the engine's under the names without ``.gz``."""
    folder = app_dir()
    found = (p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return tuple(sorted(n.removesuffix(".gz") for n in found))


def read(name: str) -> AppFile | None:
    """Return one file of the app by name, or None where there is none."""
    if name not in names():
        return None
    path = app_dir() / name
    packed = path.with_name(path.name + ".gz")
    gzipped = packed.is_file()
    return AppFile(_held(packed if gzipped else path), media_type(name), gzipped)


def read_plain(name: str) -> AppFile | None:
    """Return a file as :func:`read` does, never compressed."""
    found = read(name)
    if found is None or not found.gzipped:
        return found
    path = app_dir() / name
    return AppFile(_held(path.with_name(path.name + ".gz"), plain=True), found.media_type, False)


# The app's own files are few. Each is in memory once, however many clients ask for it at once.
_one = threading.Lock()


def _held(path: Path, plain: bool = False) -> bytes:
    with _one:
        return _load(path, plain)


@lru_cache(maxsize=64)
def _load(path: Path, plain: bool) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if plain else data


def app_json(bundles: Sequence[Bundle], trusted: Iterable[bytes]) -> bytes:
    """Return ``app.json``: which bundles the app opens at its start, and the keys it trusts."""
    return (json.dumps({"bundles": [bundle_path(b) for b in bundles],
                        "trust": sorted(k.hex() for k in trusted)}, indent=1) + "\n").encode()


def bundle_path(bundle: Bundle) -> str:
    """Return where the app finds a bundle."""
    return f"bundles/{bundle.id}.zip"
