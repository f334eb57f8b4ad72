"""Bundles without a study: a hand-made one around any bytes, for tests of the format."""

from __future__ import annotations

from dataclasses import replace

from bedside import codec
from bedside.runtime.bundle import manifest as m
from bedside.runtime.bundle import writer
from bedside.types import Preprocess, Task

SIDE = 4


def parts(model=b"model bytes"):
    """A manifest and its files, to be changed by a test."""
    spec = Preprocess(height_px=SIDE, width_px=SIDE)
    vectors = (m.ReferenceVector("reference/1.png", "reference/1.bin", (0.5, -0.5)),)
    manifest = m.Manifest(
        schema=m.SCHEMA, kind=m.KIND, name="net-int8@cpu", bedside="0", notice=m.NOTICE,
        model=m.BundleModel("net-int8", "net", "int8", "cpu", "cpu", "tflite",
                            "model/model.tflite", 2, False),
        task=Task(("benign", "malignant"), "malignant"), preprocess=spec,
        operating_point=m.OperatingPoint(), files={})
    files = {
        "model/model.tflite": ("model", model),
        "reference.json": ("reference", codec.to_json(
            m.Reference(vectors, 0.1, "made up")).encode()),
        "reference/1.png": ("reference-image", b"png"),
        "reference/1.bin": ("reference-pixels", bytes(range(SIDE * SIDE))),
        "evidence.json": ("evidence", b"{}\n"),
        "model-card.md": ("model-card", b"# Card\n"),
        "licence.txt": ("licence", b"none\n"),
        "change.json": ("change", codec.to_json(m.Change(reason="first")).encode()),
    }
    return manifest, files


def packed(key=None, **changes):
    """The bytes of a sound bundle (with fields of the manifest replaced)."""
    manifest, files = parts()
    return writer.pack(replace(manifest, **changes), files, key)
