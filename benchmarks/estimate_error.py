"""The estimate's error: every published row, estimated from the processor's other networks.

    python benchmarks/estimate_error.py [--save estimate-error]
"""

from __future__ import annotations

import statistics
import sys

from common import ROOT, finish

from bedside import targets

sys.path.insert(0, str(ROOT / "tests" / "support"))
from leave_one_out import leave_one_out


def main() -> None:
    """Print (or save) the rows and their median error."""
    rows = []
    for target in targets.profiles().values():
        if target.roofline is None:
            continue
        rows += [{"target": target.id, "device": r.row.device, "format": r.row.format,
                  "network left out": r.row.network, "published_ms": r.row.ms,
                  "estimated_ms": round(r.estimated_ms, 3), "error": round(r.error, 3)}
                 for r in leave_one_out(target.roofline)]
    errors = [row["error"] for row in rows]
    finish({"what": "estimated latency of a network that the profile was not fitted to, "
                    "against the published one",
            "median_error": round(statistics.median(errors), 3), "max_error": max(errors),
            "goal": 0.35, "rows": rows})


if __name__ == "__main__":
    main()
