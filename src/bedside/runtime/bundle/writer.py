"""Packing a bundle: hashes, manifest, signature, canonical zip."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bedside.core import codec
from bedside.runtime.bundle import canonical_zip, signing
from bedside.runtime.bundle.manifest import BundleFile, Manifest, Role
from bedside.runtime.bundle.reader import DIGEST, MANIFEST, SEAL


def pack(manifest: Manifest, files: Mapping[str, tuple[Role, bytes]],
         key: Path | None = None) -> bytes:
    """Return a bundle's bytes. Equal arguments give equal bytes on every machine.

    Args:
        manifest: everything but ``files``, which is filled in here.
        files: contents and roles by name.
        key: a private key (PEM); without it the bundle is unsigned.
    """
    listed = {n: BundleFile(r, hashlib.sha256(d).hexdigest(), len(d))
              for n, (r, d) in sorted(files.items())}
    text = codec.to_json(replace(manifest, files=listed)).encode()
    entries = [(MANIFEST, text), (DIGEST, hashlib.sha256(text).hexdigest().encode())]
    if key is not None:
        entries.append((SEAL, signing.sign(key, text)))
    entries += [(n, d) for n, (_, d) in sorted(files.items())]
    return canonical_zip.build(entries)
