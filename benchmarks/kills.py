"""A run killed 60 times at random moments against one never killed: byte-identical results.

    python benchmarks/kills.py [KILLS] [--save kills]
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

from common import ROOT, finish, positional


def main() -> None:
    """Run the resume test with a large count."""
    words = positional()
    kills = int(words[0]) if words else 60
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
         str(ROOT / "tests" / "pipeline" / "test_resume.py")],
        env={**os.environ, "BEDSIDE_KILLS": str(kills)}, capture_output=True, text=True, cwd=ROOT,
        check=False)
    if done.returncode != 0:
        sys.exit(done.stdout[-3000:])
    finish({"what": "SIGKILL at random moments of a run, then resumed: split, weights, history, "
                    "float model and variants byte-identical to a run never killed",
            "kills": kills, "identical": True, "minutes": round((time.perf_counter() - start) / 60,
                                                                1)})


if __name__ == "__main__":
    main()
