"""De-identification against an answer key in the style of MIDI-B: synthetic files, injected
identifiers, required actions, and a raw search for every injected string.

    python benchmarks/deid_answer_key.py [FILES] [--save deid-answer-key]

FILES have identifiers in their headers; one to 27 of these more has them in its pixels too.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

from common import ROOT, finish, positional

REQUIRED = 0.9993
BATCH = 500
WITH_PIXELS = 27
OPTIONS = ((), ("modified-dates", "retain-device"))


def main() -> None:
    """Half of the files under the basic profile, half with shifted dates and kept device."""
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    warnings.simplefilter("ignore")
    from deid_answer import sources
    from deid_check import run
    from deid_pixels import pictures

    words = positional()
    files = int(words[0]) if words else 2000
    start = time.perf_counter()
    parts = [(done, min(BATCH, files - done), False) for done in range(0, files, BATCH)]
    half = max(1, files // WITH_PIXELS // 2)
    # Other seeds than those of the headers.
    parts += [(files + done, half, True) for done in (0, half)]
    right, wrong, kinds, held, searched = 0, [], Counter(), Counter(), 0
    for number, (seed, count, pixels) in enumerate(parts):
        with tempfile.TemporaryDirectory() as folder:
            score = run(Path(folder), count, OPTIONS[number % 2], seed, pixels=pixels)
        right, wrong, kinds = right + score.right, wrong + score.wrong, kinds + score.by_kind
        held, searched = held + score.held, searched + score.searched
        print(f"{seed + count} files, {right} right, {len(wrong)} wrong", file=sys.stderr,
              flush=True)
    for line in wrong[:50]:
        print(line, file=sys.stderr)
    fraction = right / (right + len(wrong))
    finish({"what": "synthetic DICOM of public files with injected identifiers (tags, private "
                    "tags, nested sequences, free text, file meta, names, pixels): actions as "
                    "required",
            "files": files, "public files": len(sources()),
            "files with text in their pixels": 2 * half, "of public images": len(pictures()),
            "texts in pixels of passed files": kinds["pixels"] + sum("ink" in w for w in wrong),
            "held for a person": dict(held), "actions": right + len(wrong),
            "right": right, "fraction": round(fraction, 6), "required": REQUIRED,
            "strings searched": searched,
            "strings left in raw bytes or names": sum("remains" in w for w in wrong),
            "by kind": dict(sorted(kinds.items())),
            "minutes": round((time.perf_counter() - start) / 60, 1)})
    if fraction < REQUIRED:
        sys.exit(f"{fraction:.4%} of the actions are right, {REQUIRED:.2%} are required")


if __name__ == "__main__":
    main()
