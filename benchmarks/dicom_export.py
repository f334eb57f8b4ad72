"""A PACS export of 10,000 files without extensions: seconds and memory of listing it.

    python benchmarks/dicom_export.py [N] --save dicom-export
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from common import ROOT, finish, positional

from bedside.readers import dicom, sandbox
from bedside.runtime.worker import peak_memory_bytes

sys.path.insert(0, str(ROOT / "tests" / "support"))
from dicom_fixture import public
from dicom_mutants import worker_peak


def main() -> None:
    words = positional()
    count = int(words[0]) if words else 10_000
    # Headers only are read: a small picture with the header of a real ultrasound machine.
    data = public("examples_ybr_color.dcm").read_bytes()[:60_000]
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        for i in range(count):
            path = root / f"PAT{i // 100:04d}" / f"ST{i // 10 % 10}" / f"IM{i:06d}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        before, start = peak_memory_bytes(), time.monotonic()
        found = dicom.listing(root)
        seconds = time.monotonic() - start
    finish({"what": "listing a PACS export: headers of ultrasound pictures, two workers",
            "files": count, "listed": len(found.entries), "faulty": len(found.faulty),
            "seconds": round(seconds, 1), "files_per_second": round(count / seconds),
            "load_average": round(os.getloadavg()[0], 1),
            "parent_peak_mb": peak_memory_bytes() >> 20,
            "parent_growth_mb": (peak_memory_bytes() - before) >> 20,
            "worker_peak_mb": worker_peak(sandbox.pool()) >> 20})
    sys.exit(0 if len(found.entries) == count else 1)


if __name__ == "__main__":
    main()
