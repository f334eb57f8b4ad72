"""Target: ONNX Runtime on this machine's CPU, FP32 or INT8 by its static quantizer.

Both start from the float ``.tflite``; INT8 uses the same calibration images as LiteRT's.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bedside.core import registry
from bedside.core.build import Build, Placement, Target
from bedside.core.types import Evidence
from bedside.runtime.files import sha256_file
from bedside.runtime.litert import LOGITS
from bedside.runtime.machine import cpu_flags
from bedside.targets import float_source, ort
from bedside.targets.base import Availability, BuildRequest, Placed
from bedside.targets.float_source import Image
from bedside.targets.tflite_onnx import write_onnx

RUNNER = "bedside.targets.onnx_cpu:OnnxModel"
REFERENCE = "bedside.runtime.litert:LiteRTModel"
EVIDENCE: dict[str, Evidence] = {"accuracy": "measured", "latency": "measured"}
MODEL = "model.onnx"
_INTEGER = frozenset({"QLinearConv", "QGemm", "ConvInteger", "QLinearMatMul"})
_FLOAT = frozenset({"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul"})


def available() -> Availability:
    """Return whether the package ``onnxruntime`` is installed."""
    try:
        found = version("onnxruntime")
    except PackageNotFoundError:
        return Availability(False, "ONNX Runtime is not installed",
                            "Install the workbench: pip install 'bedside[workbench]'.")
    return Availability(True, f"ONNX Runtime {found} on the CPU", version=f"onnxruntime {found}")


class OnnxModel:
    """A loaded build: one image in, outputs by name out."""

    def __init__(self, path: Path, threads: int = 2) -> None:
        self._session = ort.cpu_session(path, threads)
        self._input = self._session.get_inputs()[0].name

    def run(self, image: Image) -> Mapping[str, Image]:
        """Run one (1, H, W, C) float32 image; a single output is the logits, whatever its name."""
        found = ort.outputs(self._session, {self._input: image})
        return {LOGITS: next(iter(found.values()))} if len(found) == 1 else found

    @property
    def input_name(self) -> str:
        """Name of the image."""
        return str(self._input)


def build(request: BuildRequest) -> Build:
    """Convert the float model, check it, and quantize it where the scheme says so."""
    float_file = float_source.float_model(request, "ONNX Runtime")
    path = request.scratch / MODEL
    write_onnx(float_file, path)
    images = float_source.check_images(request)
    model = OnnxModel(path, request.target.threads)
    error = float_source.check_parity(float_file, images, [model.run(i)[LOGITS] for i in images])
    quantizer = "none"
    if request.variant.scheme == "int8":
        quantizer = _quantize(path, model.input_name, float_source.calibration_images(request))
    placement, kind = _placement(path, request.target.threads)
    float_source.check_quantized(request.variant.scheme, kind, "ONNX Runtime")
    return Build(
        variant=request.variant.id, target=request.target.id, format="onnx",
        files={MODEL: sha256_file(path)}, quantizer=quantizer, placement=placement,
        compute_dtype=kind, facts={"build_mb": path.stat().st_size / 1e6,
                                   "float_parity": error})


def _quantize(path: Path, input_name: str, images: list[Image]) -> str:
    """Quantize the file in place and return the quantizer's name.

    Activations are unsigned and weights signed, which x86 multiplies fastest. Without VNNI (or
    on other processors than x86 with it) sums of two products may saturate 16 bits there, so
    weights take 7 bits (ONNX Runtime, Quantize ONNX models, "reduce_range").
    """
    quantization = registry.resolve("onnxruntime.quantization")
    flags = cpu_flags()
    saturates = "avx2" in flags and not flags & {"avx512_vnni", "avx_vnni"}

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            self._images: Iterator[Image] = iter(images)

        def get_next(self) -> dict[str, Any] | None:
            image = next(self._images, None)
            return None if image is None else {input_name: image}

    with tempfile.TemporaryDirectory(prefix="bedside-") as name:
        folded = Path(name) / "folded.onnx"
        registry.resolve("onnxruntime.quantization.shape_inference:quant_pre_process")(
            str(path), str(folded), skip_symbolic_shape=True)
        quantization.quantize_static(
            str(folded), str(path), Reader(), quant_format=quantization.QuantFormat.QDQ,
            per_channel=True, reduce_range=saturates,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8)
    bits = ", 7-bit weights" if saturates else ""
    return f"onnxruntime {version('onnxruntime')} static (min-max, per channel{bits})"


def _placement(path: Path, threads: int) -> tuple[tuple[Placement, ...], str]:
    """Return the nodes of the rewritten graph, and the format most of them multiply in."""
    nodes = ort.optimized_nodes(path, threads)
    integer = sum(op in _INTEGER for op, _ in nodes)
    floating = sum(op in _FLOAT for op, _ in nodes)
    rows = tuple(Placement(i, op, name, "onnxruntime cpu") for i, (op, name) in enumerate(nodes))
    return rows, "int8" if integer > floating else "float32"


def place(file: Path, target: Target, scratch: Path) -> Placed:
    """Convert the file and read the graph that ONNX Runtime makes of it."""
    float_source.refuse_quantized(file, "ONNX Runtime")
    write_onnx(file, scratch / MODEL)
    placement, _ = _placement(scratch / MODEL, target.threads)
    return Placed(placement, "onnxruntime cpu", 1, 1.0)
