"""A run that holds labelled images as pixels, and nothing else: no decoding, no grouping."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write_labelled(run: Path, task, parts: dict[str, tuple[np.ndarray, np.ndarray]],
                   preprocess) -> None:
    """Write data and cache of a run.

    ``parts``: split to images (n, H, W) or (n, H, W, 3) uint8, already of the model's size, and
    labels (n,), indices of ``task.classes``.
    """
    from bedside.core import codec
    from bedside.core.types import Case
    from bedside.runfolder import artefact, layout
    from bedside.runfolder.cases import cases_to_csv

    cases, planes = [], []
    for split, (images, labels) in parts.items():
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            name, pixels = f"{split}{i:04d}", image.reshape(*image.shape[:2], -1)
            if pixels.shape[2] != preprocess.channels:
                pixels = np.repeat(pixels, preprocess.channels, axis=2)
            planes.append(pixels.astype(np.uint8))
            cases.append(Case(name, f"{name}.png", task.classes[int(label)], None, name, split,
                              *image.shape[:2], f"{len(cases):064x}"))
    with artefact.writing(layout.data_dir(run), "data", "labelled") as scratch:
        artefact.write_text(scratch / layout.CASES, cases_to_csv(cases))
        artefact.write_text(scratch / layout.TASK, codec.to_json(task))
    with artefact.writing(layout.cache_dir(run, preprocess), "cache", "labelled") as scratch:
        (scratch / "pixels.bin").write_bytes(b"".join(p.tobytes() for p in planes))
        artefact.write_text(scratch / "index.json", codec.to_json({
            "preprocess": preprocess, "dtype": "uint8", "ids": [c.id for c in cases]}))
