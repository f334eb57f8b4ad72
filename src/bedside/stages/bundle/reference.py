"""Reference vectors of the self-test: synthetic images (never a patient's) and tolerances."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from bedside.core.types import Preprocess
from bedside.runtime import preprocess
from bedside.runtime.bundle.manifest import Reference, ReferenceVector
from bedside.runtime.engine import Engine
from bedside.runtime.graph import parse_graph
from bedside.runtime.litert import LOGITS, LiteRTModel

COUNT = 4
_SIZES = ((1.3, 1.7), (1.0, 1.0), (2.1, 1.2), (0.7, 0.9))


def synthetic_images(spec: Preprocess) -> list[bytes]:
    """Return PNGs of speckle around ellipses: larger, smaller and of the network's input size."""
    found = []
    for number in range(COUNT):
        rng = np.random.Generator(np.random.PCG64(number))
        height, width = (max(2, round(side * factor)) for side, factor in zip(
            (spec.height_px, spec.width_px), _SIZES[number], strict=True))
        planes = [_plane(rng, height, width) for _ in range(spec.channels)]
        image = planes[0] if spec.channels == 1 else Image.merge("RGB", planes)
        out = io.BytesIO()
        image.save(out, "PNG")
        found.append(out.getvalue())
    return found


def _plane(rng: np.random.Generator, height: int, width: int) -> Image.Image:
    rows, columns = np.mgrid[:height, :width]
    level = np.full((height, width), 0.5)
    for _ in range(3):
        y, x, b, a = rng.uniform((0.2, 0.2, 0.08, 0.08), (0.8, 0.8, 0.3, 0.3))
        inside = ((rows / height - y) / b) ** 2 + ((columns / width - x) / a) ** 2 < 1
        level[inside] *= rng.uniform(0.2, 1.6)
    speckle = level * rng.rayleigh(1.0, level.shape)
    grey = np.clip(110 * speckle / max(speckle.mean(), 1e-9), 1, 255).astype(np.uint8)
    return Image.fromarray(grey).filter(ImageFilter.GaussianBlur(0.8))


def make(engine: Engine, spec: Preprocess, file: Path | None
         ) -> tuple[Reference, dict[str, bytes], dict[str, bytes]]:
    """Run the vectors through an opened engine.

    Args:
        engine: it has the build open.
        spec: the build's preprocessing.
        file: the ``.tflite`` where the build is one, to see how far its kernels differ.

    Returns:
        The reference, the images by name, the resized pixels by name.
    """
    images, pixels, vectors, arrays = {}, {}, [], []
    for number, png in enumerate(synthetic_images(spec), 1):
        image, raw = f"reference/{number}.png", f"reference/{number}.bin"
        resized = preprocess.resize(preprocess.decode(png, spec.channels, image), spec)
        images[image], pixels[raw] = png, resized.tobytes()
        arrays.append(resized)
        vectors.append(ReferenceVector(image, raw, engine.resized(pixels[raw], image).logits))
    tolerance, basis = _tolerance(vectors, arrays, spec, file)
    return Reference(tuple(vectors), tolerance, basis), images, pixels


def _tolerance(vectors: list[ReferenceVector], arrays: list[preprocess.Pixels],
               spec: Preprocess, file: Path | None) -> tuple[float, str]:
    """Return three times the difference of two sets of kernels here, at least the arithmetic's
    own grain: two steps of an integer model's logits, a thousandth of a float model's."""
    largest = max(abs(v) for vector in vectors for v in vector.logits)
    floor, grain = 1e-3 * (1 + largest), "a thousandth of the largest logit and of one"
    if file is None:
        return 3 * floor, f"three times {grain}"
    model = LiteRTModel(file, 2, delegate=False)
    step = _step(file, model)
    if step:
        floor, grain = 2 * step, "two steps of the logits"
    apart = max(float(np.abs(
        model.run(preprocess.normalise(a, spec)[None])[LOGITS][0] - np.asarray(v.logits)).max())
        for a, v in zip(arrays, vectors, strict=True))
    return max(floor, 3 * apart), (
        f"the larger of {grain} ({floor:.3g}) and three times the difference between XNNPACK's "
        f"and LiteRT's own kernels on these vectors ({apart:.3g})")


def _step(file: Path, model: LiteRTModel) -> float:
    """Return one step of integer logits, also where dequantized inside the file; else 0."""
    if model.outputs[LOGITS].scale:
        return model.outputs[LOGITS].scale
    graph = parse_graph(file.read_bytes(), str(file))
    for operation in graph.operations:
        tensor = graph.tensors[operation.inputs[0]]
        if (operation.op == "DEQUANTIZE" and operation.outputs[0] in graph.outputs
                and len(tensor.shape) == 2 and tensor.quantization is not None):
            return float(tensor.quantization.scales[0])
    return 0.0
