"""2,000 one-bit flips of a signed bundle: every one refused before anything is loaded.

    python benchmarks/bundle_flips.py [--save bundle-flips]
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from common import finish
from device_bundle import bundle

from bedside.core.errors import GateFailed
from bedside.runtime.bundle import canonical_zip, signing
from bedside.runtime.bundle.reader import DIGEST, MANIFEST, SEAL, open_bundle

FLIPS = 2000


def main() -> None:
    """Flip, open, count."""
    with tempfile.TemporaryDirectory() as folder:
        private, public, _ = signing.keygen(Path(folder))
        entries = {n: bytes(v) for n, v in canonical_zip.read(
            bundle().read_bytes(), "bundle").items()}
        seal = signing.sign(private, entries[MANIFEST])
        head = [(MANIFEST, entries[MANIFEST]), (DIGEST, entries[DIGEST]), (SEAL, seal)]
        rest = [(n, d) for n, d in entries.items() if n not in (MANIFEST, DIGEST, SEAL)]
        data = canonical_zip.build([*head, *rest])
        trusted = {signing.read_public(public)}
    open_bundle(data, trusted, allow_unsigned=False)
    rng, refused = random.Random(0), 0
    bad = bytearray(data)
    for _ in range(FLIPS):
        # Half anywhere, half in the few kilobytes of headers, manifest and seals.
        place = rng.randrange(len(data)) if rng.random() < 0.5 else rng.randrange(8192)
        bit = 1 << rng.randrange(8)
        bad[place] ^= bit
        try:
            open_bundle(bytes(bad), trusted, allow_unsigned=True)
        except GateFailed:
            refused += 1
        bad[place] ^= bit
    finish({"what": "one-bit flips of a signed bundle that are refused", "flips": FLIPS,
            "refused": refused, "bundle_bytes": len(data), "goal": FLIPS})


if __name__ == "__main__":
    main()
