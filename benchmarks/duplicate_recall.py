"""How many synthetic twins of real images does the audit find, and what does it join wrongly?

``python benchmarks/duplicate_recall.py [N] [--save duplicate-recall]`` makes N twins (500 by
default) of each kind in ``tests/support/near_duplicates.py`` from BUSI (from phantoms where BUSI is
not beside the checkout), puts them among all originals, and looks which lie in their original's
group. A wrong join is a group of two originals that are not in one group without the twins.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import BUSI, ROOT, finish, positional

from bedside import readers
from bedside.core.registry import lookup
from bedside.metrics.stats import wilson
from bedside.stages.data import scan
from bedside.stages.data.duplicates.group import group

sys.path.insert(0, str(ROOT / "tests" / "support"))
from data_fixture import scanned
from near_duplicates import KINDS, write_near_duplicate

GOAL = 0.99


def originals(scratch: Path, wanted: int) -> tuple[Path, list[str], str]:
    """A data set's root, its images, and its name."""
    if BUSI.is_dir():
        root, name = BUSI, "BUSI"
    else:
        from bedside.core.study import PhantomConfig
        from bedside.synthetic.phantom import write_dataset

        root, name = write_dataset(PhantomConfig(images=wanted), 0, scratch / "phantom"), "phantom"
    listing = lookup(readers.READERS, readers.detect(root), "reader")(root, ())
    return listing.root, [c.file for c in listing.cases], name


def measure(n: int) -> dict[str, Any]:
    """Recall by kind."""
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        root, files, name = originals(scratch, n)
        rng = np.random.default_rng(0)
        chosen = sorted(rng.permutation(len(files))[:n].tolist())
        with scan.Thumbs() as thumbs:
            plain = scanned(root, files, thumbs)
            before = group(plain, thumbs).duplicates
            kept = thumbs.rows(range(len(files)))
        for kind in KINDS:
            made = [write_near_duplicate(kind, root / files[i], scratch / kind / f"{i}", rng)
                    for i in chosen]
            names = [p.name for p in made]
            with scan.Thumbs() as thumbs:
                for thumb in kept:
                    thumbs.append(thumb)
                seen = [*plain, *scanned(scratch / kind, names, thumbs)]
                start = time.perf_counter()
                found = group(seen, thumbs)
                seconds = time.perf_counter() - start
            missed = [files[i] for k, i in enumerate(chosen)
                      if found.duplicates[len(files) + k] != found.duplicates[i]]
            groups: dict[int, set[int]] = {}
            for i in range(len(files)):
                groups.setdefault(found.duplicates[i], set()).add(before[i])
            low, high = wilson(len(chosen) - len(missed), len(chosen))
            rows[kind] = {
                "twins": len(chosen), "found": len(chosen) - len(missed),
                "recall": round(1 - len(missed) / len(chosen), 4),
                "interval": [round(low, 4), round(high, 4)],
                "wrong_joins": sum(len(g) - 1 for g in groups.values()),
                "grouping_seconds": round(seconds, 2)}
            if missed and name == "BUSI":
                rows[kind]["missed"] = missed
    return {"what": "synthetic twins found, by kind", "images": name, "originals": len(files),
            "goal_recall": GOAL, "largest_group_before": max(map(before.count, set(before))),
            "kinds": rows}


if __name__ == "__main__":
    words = positional()
    facts = measure(int(words[0]) if words else 500)
    finish(facts)
