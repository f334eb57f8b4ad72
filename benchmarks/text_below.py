"""Strings smaller or fainter than the search for burned-in text is held to: what becomes of them is
reported, not promised.

    python benchmarks/text_below.py [IMAGES] [--save text-below]
"""

from __future__ import annotations

import functools
import multiprocessing
import sys
from typing import Any

from common import BUSI, ROOT, finish, positional
from text_removal import LEFT, PROCESSES, one

sys.path.insert(0, str(ROOT / "tests" / "support"))

FIRST_SEED = 20_000_000


def main() -> None:
    """IMAGES (60) of each kind, one to two strings each."""
    from texted import SMALL

    kinds: dict[str, dict[str, Any]] = {
        "6 to 9 px, 40 grey levels and more": {"letters": SMALL},
        "10 px and higher, 15 to 39 grey levels": {"contrast": (15, 39)}}
    words = positional()
    count = int(words[0]) if words else 60
    busi = sorted(p for p in BUSI.rglob("*.png") if "_mask" not in p.name) if BUSI.is_dir() else []
    facts = {}
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        for number, (name, kind) in enumerate(kinds.items()):
            first = FIRST_SEED + number * 1_000_000
            rows = pool.map(functools.partial(one, busi=busi, **kind), range(first, first + count),
                            chunksize=1)
            strings = [(r, s) for r in rows for s in r["strings"]]
            passed = [s for r, s in strings if r["status"] != "uncertain"]
            facts[name] = {
                "images": count, "strings": len(strings),
                "images set apart": sum(r["status"] == "uncertain" for r in rows),
                "passed strings": len(passed),
                "of these gone to 1%": sum(s["left"] <= LEFT for s in passed),
                "of these with more than half left": sum(s["left"] > 0.5 for s in passed)}
            print(name, facts[name], file=sys.stderr, flush=True)
    finish({"what": "strings below the promised size or contrast burned into ultrasound images",
            "kinds": facts})


if __name__ == "__main__":
    main()
