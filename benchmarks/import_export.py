"""``bedside import`` of a PACS export, DICOMDIR and nested folders, with the search for text in its
pixels: minutes and memory by number of files.

    python benchmarks/import_export.py [N] [--save import-export]

A tenth of N (10,000) and then all of it: memory must not grow with the number. The pictures are
small, or it would take a night; the rate at a usual size is measured on a few.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import ROOT, finish, positional
from PIL import Image, ImageDraw
from pydicom.fileset import FileSet
from pydicom.uid import generate_uid

from bedside.core.study import PhantomConfig
from bedside.synthetic.phantom import generate

sys.path.insert(0, str(ROOT / "tests" / "support"))
from dicom_fixture import dataset

SMALL, USUAL = (96, 128), (600, 800)
USUAL_FILES = 40
PICTURES = 50


def write_export(root: Path, files: int, size: tuple[int, int]) -> None:
    """Ten pictures a study, a study a patient, and the DICOMDIR that lists them; a tenth of the
    pictures has the patient's number written upon it."""
    index = FileSet()
    config = PhantomConfig(images=PICTURES, height_px=size[0], width_px=size[1])
    pictures = [generate(config, 0, i).image for i in range(min(files, PICTURES))]
    for i in range(files):
        patient, number = f"{10 ** 6 + i // 10}", i % len(pictures)
        pixels = pictures[number]
        if i % 10 == 0:
            image = Image.fromarray(pixels)
            ImageDraw.Draw(image).text((8, 8), f"ID {patient}", 255, font_size=16)
            pixels = np.asarray(image)
        study = f"1.2.826.0.1.{patient}"
        ds = dataset(pixels, PatientID=patient, PatientName=f"Kowalski^Anna {patient}",
                     StudyInstanceUID=study, SeriesInstanceUID=f"{study}.1", StudyID="1",
                     StudyDate="20240105", StudyTime="101500", SeriesNumber=1,
                     InstanceNumber=i % 10, AccessionNumber=patient)
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        index.add(ds)
    index.write(root)


def measure(folder: Path, files: int, size: tuple[int, int]) -> dict[str, Any]:
    """One import in a process of its own."""
    src, out, said = folder / "export", folder / "data", folder / "said.json"
    src.mkdir()
    write_export(src, files, size)
    start = time.monotonic()
    command = [str(Path(sys.executable).with_name("bedside")), "import", str(src), "--out",
               str(out), "--json"]
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=[
        (os.POSIX_SPAWN_OPEN, 1, str(said), os.O_WRONLY | os.O_CREAT, 0o600)])
    _, status, usage = os.wait4(pid, 0)
    seconds = time.monotonic() - start
    counts = json.loads(said.read_text()) if not status else {}
    return {"files": files, "size_px": size, "exit code": os.waitstatus_to_exitcode(status),
            "passed": counts.get("passed", 0), "quarantined": counts.get("quarantined", {}),
            "minutes": round(seconds / 60, 1), "files_per_second": round(files / seconds, 2),
            "processor_seconds_per_file": round((usage.ru_utime + usage.ru_stime) / files, 3),
            # Of the command and the processes that it waited for, the largest.
            "largest_process_mb": usage.ru_maxrss >> 10}


def main() -> None:
    words = positional()
    files = int(words[0]) if words else 10_000
    rows = []
    for count, size in ((files // 10, SMALL), (files, SMALL), (min(files, USUAL_FILES), USUAL)):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(Path(folder), count, size))
        print(rows[-1], file=sys.stderr, flush=True)
    finish({"what": "bedside import of a PACS export (DICOMDIR, nested folders) with the search "
                    "for text in its pixels, two workers", "rows": rows})
    # One entry a file, the DICOMDIR too, and no more memory for ten times as many.
    lost = [r for r in rows if r["passed"] + sum(r["quarantined"].values()) != r["files"] + 1]
    grown = rows[1]["largest_process_mb"] / rows[0]["largest_process_mb"]
    if lost or grown > 1.2:
        sys.exit(f"files without an entry: {lost}; memory grew {grown:.2f} times")


if __name__ == "__main__":
    main()
