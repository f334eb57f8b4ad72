"""ONNX of a float variant, channels last as the variant itself, checked with ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bedside.core.build import Variant
from bedside.core.errors import GateFailed, Unsupported
from bedside.core.registry import resolve
from bedside.exports import Exported
from bedside.runtime.litert import LOGITS, LiteRTModel
from bedside.targets.onnx_cpu import OnnxModel
from bedside.targets.tflite_onnx import OPSET, write_onnx

SUMMARY = "float variants, for ONNX Runtime and what reads ONNX"
MODEL = "model.onnx"
# Largest difference of a logit, as a share of the largest.
PARITY = 1e-4


def write(variant: Variant, file: Path, folder: Path, images: Sequence[npt.NDArray[np.float32]]
          ) -> Exported:
    """Write ``model.onnx`` and compare its logits with LiteRT's.

    Raises:
        Unsupported: a quantized variant, or an operation that ONNX is not written for.
        GateFailed: a logit differs by more than 1e-4 of the largest.
        MissingComponent: ONNX or ONNX Runtime is not installed.
    """
    if variant.scheme != "float32":
        raise Unsupported(f"{variant.id} is quantized: ONNX states and rounds quantized numbers in "
                          "another way, so the file would not be the variant that was tested",
                          remedy=f"Export {variant.model}-float32; ONNX Runtime quantizes by "
                                 "itself.")
    resolve("onnx")
    write_onnx(file, folder / MODEL)
    ours, theirs = OnnxModel(folder / MODEL), LiteRTModel(file)
    largest, span = 0.0, 1e-6
    for image in images:
        want = theirs.run(image)[LOGITS]
        largest = float(np.maximum(largest, np.abs(ours.run(image)[LOGITS] - want).max()))
        span = max(span, float(np.abs(want).max()))
    if not largest <= PARITY * span:
        raise GateFailed(f"logits of the ONNX model differ from the variant's by {largest:.2e}",
                         where=variant.id, remedy="Do not use it, and please report this.")
    return Exported(MODEL, f"onnxruntime {version('onnxruntime')}", largest,
                    {"opset": OPSET, "layout": "NHWC"})
