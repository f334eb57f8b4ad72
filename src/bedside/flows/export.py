"""Flow of ``bedside export``: a variant in another format, with a contract for who uses it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import bedside
from bedside.core import codec, registry
from bedside.core.build import Variant
from bedside.core.errors import BadInput
from bedside.exports import FORMATS, Exported
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.bundle.manifest import NOTICE
from bedside.runtime.files import sha256_file
from bedside.runtime.graph import read_graph
from bedside.runtime.variant import read_variant

CONTRACT = "contract.json"
CHECKED_IMAGES = 16


def export(folder: Path, name: str, out: Path) -> dict[str, Any]:
    """Write a variant in another format; returns the contract that lies beside it.

    Args:
        folder: the variant's, in a run: its answers are compared on images of that run.
        name: a format of the table ``FORMATS``.
        out: a new or empty folder.

    Raises:
        BadInput: no variant of a run, an unknown format, or a folder that holds something.
        Unsupported: the format cannot say what the variant is.
        GateFailed: the answers differ from the variant's.
    """
    module = registry.lookup(FORMATS, name, "format")
    variant, _ = read_variant(folder)
    run = _run_of(folder)
    artefact.check(folder, "quantize")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput("it exists and is not empty", where=out, remedy="Give a new --out.")
    ids = _images(run)
    with artefact.disk_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        # Beside the target, so that the folder appears whole or not at all.
        with tempfile.TemporaryDirectory(prefix=".bedside-export-", dir=out.parent) as scratch:
            work = Path(scratch) / "out"
            work.mkdir()
            with stored.pixel_store(run, variant.preprocess) as store:
                images = list(store.tensors(ids))
            made: Exported = module.write(variant, folder / variant.file, work, images)
            contract = _contract(variant, folder / variant.file, name, made, len(images))
            contract["files"] = {p.relative_to(work).as_posix(): sha256_file(p)
                                 for p in sorted(work.rglob("*")) if p.is_file()}
            artefact.write_text(work / CONTRACT, codec.to_json(contract))
            if out.is_dir():
                out.rmdir()
            shutil.move(str(work), out)
    return contract


def _run_of(folder: Path) -> Path:
    run = folder.resolve().parent.parent
    if folder.resolve().parent != (run / "variants") or not artefact.finished(
            layout.data_dir(run), "data"):
        raise BadInput("it is not in a run, so its answers cannot be compared on images",
                       where=folder, remedy="Give a folder under RUN/variants.")
    return run


def _images(run: Path) -> list[str]:
    """Return training images, else validation images, to compare on; never test images."""
    cases = sorted(stored.cases(run), key=lambda c: (c.split != "train", c.id))
    ids = [c.id for c in cases if c.split in ("train", "val")][:CHECKED_IMAGES]
    if not ids:
        raise BadInput("the run has no training or validation images to compare on", where=run,
                       remedy="Give a run with a training part.")
    return ids


def _contract(variant: Variant, file: Path, name: str, made: Exported, images: int
              ) -> dict[str, Any]:
    """Return what a user of the file must know, in plain data."""
    graph = read_graph(file)
    shapes = {n: list(graph.tensors[i].shape) for n, i in graph.output_names.items()}
    (image, tensor), = graph.input_names.items()
    low, high = zip(*(((0.0 - m) / s, (1.0 - m) / s) for m, s in zip(
        variant.preprocess.mean, variant.preprocess.std, strict=False)), strict=True)
    return {
        "schema": 1, "notice": NOTICE, "bedside": bedside.__version__, "format": name,
        "main": made.main, "variant": variant.id, "variant_sha256": variant.sha256,
        "input": {"name": image, "shape": list(graph.tensors[tensor].shape), "dtype": "float32",
                  "range": [min(low), max(high)], "preprocess": codec.encode(variant.preprocess)},
        "outputs": shapes, "logits": "logits" if "logits" in shapes else next(iter(shapes)),
        "classes": list(variant.task.classes), "positive": variant.task.positive,
        "parity": {"images": images, "largest_logit_difference": made.largest_difference,
                   "runtime": made.runtime},
        **made.facts,
    }
