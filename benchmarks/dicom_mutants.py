"""Damaged DICOM: byte-flipped and truncated copies of public files, public bad files, bombs.

    python benchmarks/dicom_mutants.py [N] --save dicom-mutants

Every input must be named, as read or set aside with a reason; the batch must go on; and each bomb
must be refused within 2 s and 512 MB.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from common import ROOT, finish, positional

from bedside.core.errors import BadInput
from bedside.readers import dicom, sandbox
from bedside.readers.dicom_file import read_file
from bedside.runtime.worker import peak_memory_bytes

sys.path.insert(0, str(ROOT / "tests" / "support"))
from dicom_fixture import bombs, mutants, public_files


def worker_peak(pool: sandbox.Pool) -> int:
    """Largest resident size of the first idle worker, in bytes."""
    worker = pool._idle.get()
    pool._idle.put(worker)
    status = Path(f"/proc/{worker._process.pid}/status") if worker else None
    if status is None or not status.is_file():
        return 0
    return int(next(line for line in status.read_text().splitlines()
                    if line.startswith("VmHWM")).split()[1]) * 1024


def processor_seconds(pool: sandbox.Pool) -> float:
    """What the first idle worker has used."""
    worker = pool._idle.get()
    pool._idle.put(worker)
    return worker.processor_seconds() if worker else 0.0


def batch(count: int) -> dict[str, object]:
    """List and decode a folder of mutants and public files; what became of each."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        names = []
        for name, data in mutants(count, seed=1):
            (folder / name).write_bytes(data)
            names.append(name)
        public = public_files()
        for number, path in enumerate(public):
            names.append(f"public-{number:03d}-{path.stem}.dcm")
            shutil.copyfile(path, folder / names[-1])
        start = time.monotonic()
        found = dicom.listing(folder)
        told = {s.file.partition(": ")[0]: s.reason for s in (*found.aside, *found.faulty)}
        read, unnamed, aborts = 0, 0, 0

        def look(name: str) -> str | None:
            try:
                read_file(folder / name)
            except BadInput as error:
                return error.fault if error.where and name in error.where else ""
            return None

        listed = [name for name, _ in found.entries]
        for name, fault in zip(listed, sandbox.pool().map(look, listed), strict=True):
            if fault is None:
                read += 1
            else:
                told[name] = fault
        unnamed = len(set(names) - set(told)) - read
        aborts = sum(not reason for reason in told.values())
        seconds = time.monotonic() - start
    reasons = Counter(" ".join(w for w in r.split() if not any(c.isdigit() for c in w))
                      for r in told.values())
    return {"mutants": count, "public_files": len(public), "read": read,
            "set_aside": len(told), "not_named": unnamed, "without_reason": aborts,
            "seconds": round(seconds, 1), "reasons": dict(reasons.most_common(20))}


def explosions() -> dict[str, object]:
    """Each bomb in a fresh worker: its reason, seconds and the worker's peak."""
    found = {}
    for name, data in bombs().items():
        pool = sandbox.Pool(1)
        with tempfile.TemporaryDirectory() as temporary:
            path = Path(temporary) / "bomb.dcm"
            path.write_bytes(data)
            with contextlib.suppress(BadInput):
                read_file(public_files()[0], pool=pool)  # only to start the worker
            used = processor_seconds(pool)
            start, reason = time.monotonic(), None
            try:
                read_file(path, pool=pool)
            except BadInput as error:
                reason = error.fault
            found[name] = {"bytes": len(data), "reason": reason,
                           "seconds": round(time.monotonic() - start, 2),
                           "processor_seconds": round(processor_seconds(pool) - used, 2),
                           "worker_peak_mb": worker_peak(pool) >> 20}
        pool.close()
    return found


def main() -> None:
    words = positional()
    facts = batch(int(words[0]) if words else 1000)
    facts["parent_peak_mb"] = peak_memory_bytes() >> 20
    exploded = explosions()
    good = facts["not_named"] == 0 and facts["without_reason"] == 0 and all(
        b["reason"] and b["seconds"] < 2 and b["worker_peak_mb"] < 512 for b in exploded.values())
    finish({"what": "damaged DICOM and bombs", **facts, "bombs": exploded, "held": good})
    sys.exit(0 if good and facts["parent_peak_mb"] < 512 else 1)


if __name__ == "__main__":
    main()
