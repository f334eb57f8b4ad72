"""Target: OpenVINO on this machine's CPU, FP32 or INT8 by NNCF (only import of either).

Both start from the float ``.tflite`` (OpenVINO does not read LiteRT's quantized files); INT8
uses the same calibration images as LiteRT's.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from bedside.core.build import Build, Placement, Target
from bedside.core.errors import BadInput
from bedside.core.types import Evidence
from bedside.runtime.files import sha256_file
from bedside.runtime.graph import read_graph
from bedside.runtime.litert import LOGITS, quiet_stderr
from bedside.targets import float_source
from bedside.targets.base import Availability, BuildRequest, Placed
from bedside.targets.float_source import Image

RUNNER = "bedside.targets.openvino_cpu:OpenVinoModel"
REFERENCE = "bedside.runtime.litert:LiteRTModel"
EVIDENCE: dict[str, Evidence] = {"accuracy": "measured", "latency": "measured"}
MODEL = "model.xml"
WEIGHTS = "model.bin"
_FORMATS = {"f32": "float32", "bf16": "bfloat16", "f16": "float16", "i8": "int8", "u8": "int8"}


def available() -> Availability:
    """Return whether the packages ``openvino`` and ``nncf`` are installed."""
    try:
        found = f"openvino {version('openvino')}, nncf {version('nncf')}"
    except PackageNotFoundError as error:
        return Availability(False, f"{error.name} is not installed",
                            "Install the workbench: pip install 'bedside[workbench]'.")
    return Availability(True, f"{found} on the CPU",
                        version=f"{found}, min-max, biases as they are")


def _core() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import openvino
    return openvino.Core()


def _read(path: Path) -> Any:
    try:
        with quiet_stderr():
            return _core().read_model(str(path))
    except RuntimeError as error:
        lines = [x for x in str(error).strip().splitlines() if x.strip()]
        raise BadInput(f"OpenVINO cannot read the model ({lines[-1][:160] if lines else ''})",
                       where=path, remedy="Give a complete float .tflite.") from None


def _compile(model: Any, threads: int) -> Any:
    # The hint keeps float models in float32: on processors with bfloat16 units OpenVINO would
    # otherwise change the arithmetic silently.
    with quiet_stderr():
        return _core().compile_model(model, "CPU", {
            "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": "f32"})


class OpenVinoModel:
    """A loaded build: one image in, outputs by name out."""

    def __init__(self, path: Path, threads: int = 2) -> None:
        model = _read(path)
        if path.suffix == ".tflite":
            model = _named(model, path)
        self._request = _compile(model, threads).create_infer_request()
        found = self._request.model_outputs
        self._names = [_name(o, len(found)) for o in found]

    def run(self, image: Image) -> Mapping[str, Image]:
        """Run one (1, H, W, C) float32 image."""
        self._request.infer([np.ascontiguousarray(image)])
        return {name: np.array(self._request.get_output_tensor(i).data)
                for i, name in enumerate(self._names)}


def _name(port: Any, count: int) -> str:
    names = set(port.get_names())
    if count == 1:
        return LOGITS
    return next((n for n in (LOGITS, "cam") if n in names), min(names, default=""))


def _named(model: Any, float_file: Path) -> Any:
    """Give inputs and outputs the names of the ``.tflite``'s signature."""
    graph = read_graph(float_file)
    for ports, names, indices in ((model.inputs, graph.input_names, graph.inputs),
                                (model.outputs, graph.output_names, graph.outputs)):
        by_index = {index: name for name, index in names.items()}
        for port, index in zip(ports, indices, strict=True):
            port.get_tensor().set_names({by_index.get(index, graph.tensors[index].name)})
    return model


def build(request: BuildRequest) -> Build:
    """Read the float model, check it, quantize it where the scheme says so, and save it."""
    float_file = float_source.float_model(request, "OpenVINO")
    model = _named(_read(float_file), float_file)
    path, quantizer = request.scratch / MODEL, "none"
    _save(model, path)
    images = float_source.check_images(request)
    loaded = OpenVinoModel(path, request.target.threads)
    error = float_source.check_parity(float_file, images, [loaded.run(i)[LOGITS] for i in images])
    if request.variant.scheme == "int8":
        model = _quantize(model, float_source.calibration_images(request))
        quantizer = (f"nncf {version('nncf')} (post-training, min-max, per channel, biases as "
                     "they are)")
        _save(model, path)
    placement, kind = _placement(_compile(_read(path), request.target.threads))
    float_source.check_quantized(request.variant.scheme, kind, "OpenVINO")
    files = {name: sha256_file(request.scratch / name) for name in (MODEL, WEIGHTS)}
    size = sum((request.scratch / name).stat().st_size for name in files)
    return Build(
        variant=request.variant.id, target=request.target.id, format="openvino", files=files,
        main=MODEL, quantizer=quantizer, placement=placement, compute_dtype=kind,
        facts={"build_mb": size / 1e6, "float_parity": error})


def _save(model: Any, path: Path) -> None:
    import openvino

    openvino.save_model(model, str(path), compress_to_fp16=False)


def _quantize(model: Any, images: list[Image]) -> Any:
    os.environ["NNCF_CI"] = "1"  # no telemetry
    with (warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), quiet_stderr()):
        warnings.simplefilter("ignore")
        import nncf
        from nncf.quantization import advanced_parameters, range_estimator

        logging.getLogger("nncf").setLevel(logging.ERROR)
        # Smallest and largest value over all images, as LiteRT's ranges. NNCF's default is
        # the mean of each image's largest, which clips half the images: the error of a small
        # trained network's logits was four times as large. Its bias correction flipped classes
        # (error 0.47 of the logits' range, 0.02 without). Figures: docs/targets.md.
        advanced = advanced_parameters.AdvancedQuantizationParameters(
            activations_range_estimator_params=range_estimator.RangeEstimatorParametersSet.MINMAX,
            disable_bias_correction=True)
        return nncf.quantize(model, nncf.Dataset(images), subset_size=len(images),
                             advanced_parameters=advanced)


def _placement(compiled: Any) -> tuple[tuple[Placement, ...], str]:
    """Return the nodes that OpenVINO runs, and the format most convolutions run in."""
    rows, formats = [], Counter[str]()
    for number, node in enumerate(compiled.get_runtime_model().get_ops()):
        facts = node.get_rt_info()
        kind = _fact(facts, "layerType")
        if kind in ("Input", "Output", "Constant", "Const"):
            continue
        precision = _fact(facts, "runtimePrecision")
        if kind in ("Convolution", "GroupConvolution", "FullyConnected"):
            formats[precision] += 1
        rows.append(Placement(number, kind, node.get_friendly_name(), "openvino cpu"))
    main = formats.most_common(1)[0][0] if formats else "f32"
    return tuple(rows), _FORMATS.get(main.lower(), main)


def _fact(facts: Any, name: str) -> str:
    value = facts[name] if name in facts else ""  # noqa: SIM401 (no dict: it has no get)
    return str(getattr(value, "value", value))


def place(file: Path, target: Target, scratch: Path) -> Placed:
    """Compile the file and read where OpenVINO put its operations."""
    del scratch
    float_source.refuse_quantized(file, "OpenVINO")
    placement, _ = _placement(_compile(_read(file), target.threads))
    return Placed(placement, "openvino cpu", 1, 1.0)
