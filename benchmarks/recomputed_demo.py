"""Every number of the demo's first screens against independent libraries.

    python benchmarks/recomputed_demo.py [RUN] [--save recomputed-demo]

Makes the demo in a temporary folder, or takes a finished RUN, and compares as ``recompute.py``.
Exits 1 where a number differs.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from common import finish, positional
from recompute import checks


def main() -> None:
    """Make the demo where none is given, compare, and save the counts."""
    given = positional()
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(given[0]) if given else Path(scratch) / "demo"
        if not given:
            subprocess.run([sys.executable, "-m", "bedside", "demo", "--out", str(run)],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        done, left = checks(run)
    differ = [c for c in done if not c.agree]
    finish({"what": "the demo's published numbers, recomputed with independent libraries",
            "numbers": len(done), "differ": len(differ),
            "kinds": dict(Counter(c.number.split()[0] for c in done).most_common()),
            "differing": [f"{c.where}: {c.number}: {c.report}, recomputed {c.recomputed}"
                          for c in differ], "not_recomputed": left})
    raise SystemExit(1 if differ or not done else 0)


if __name__ == "__main__":
    main()
