"""Float model and images for runtimes that quantize by themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from bedside.core.errors import BadInput, Unsupported
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.graph import read_graph
from bedside.runtime.litert import LOGITS, LiteRTModel
from bedside.targets.base import BuildRequest

Image = npt.NDArray[np.float32]
SCHEMES = ("float32", "int8")
CHECKED = 8
# Largest difference of a float32 build's logits from LiteRT's, as a share of their range.
PARITY = 1e-3


def float_model(request: BuildRequest, runtime: str) -> Path:
    """Return the float ``.tflite`` that a build starts from.

    Raises:
        Unsupported: another scheme than float32 or plain int8, or a model that is not float.
    """
    scheme = request.variant.scheme_id
    if scheme not in SCHEMES:
        raise Unsupported(f"{runtime} quantizes by itself, in the schemes float32 and int8; "
                          f"{scheme} is LiteRT's own",
                          remedy="Compare float32 and int8 on this target.")
    if request.variant.scheme == "float32":
        file = request.file
    else:
        folder = layout.model_dir(request.run, request.variant.model)
        artefact.check(folder, "convert")
        file = folder / layout.FLOAT_MODEL
    refuse_quantized(file, runtime)  # bedside bench may be given such a file alone
    return file


def calibration_images(request: BuildRequest) -> list[Image]:
    """Return the training images that set the LiteRT variant's ranges, (1, H, W, C) each.

    Raises:
        BadInput: the calibration that the variant names is not in the run.
    """
    if request.variant.calibration is None:
        raise Unsupported("the variant names no calibration images", remedy="Quantize it in a run.")
    calibration = stored.calibration(request.run, request.variant)
    if calibration is None or not calibration.ids:
        raise BadInput("its calibration is not in the run, or names no images",
                       where=request.variant.id, remedy="Calibrate and quantize again.")
    with stored.pixel_store(request.run, request.variant.preprocess) as store:
        return list(store.tensors(calibration.ids))


def check_images(request: BuildRequest) -> list[Image]:
    """Return a few training images to compare a converted model on (any, without training ones)."""
    known = [c.id for c in stored.cases(request.run) if c.split == "train"]
    with stored.pixel_store(request.run, request.variant.preprocess) as store:
        ids = [i for i in known if i in set(store.ids)] or list(store.ids)
        return list(store.tensors(ids[:CHECKED]))


def check_parity(file: Path, images: list[Image], ours: list[Image]) -> float:
    """Return the largest difference of float logits from LiteRT's, as a share of LiteRT's range.

    Raises:
        BadInput: it is above :data:`PARITY`; the converted model is not the same network.
    """
    model = LiteRTModel(file)
    theirs = np.stack([model.run(image)[LOGITS] for image in images])
    span = max(float(np.ptp(theirs)), 1e-6)
    error = float(np.abs(np.stack(ours) - theirs).max()) / span
    if not error <= PARITY:
        raise BadInput(f"float logits differ from LiteRT's by {error:.2%} of their range",
                       remedy="Please report it; the LiteRT targets are not affected.")
    return error


def check_quantized(scheme: str, compute_dtype: str, runtime: str) -> None:
    """Refuse a build whose quantizer left the network in floating point without a word.

    Args:
        scheme: the variant's.
        compute_dtype: the format that most of the build's layers multiply in.
        runtime: what to call the runtime.

    Raises:
        BadInput: the scheme is int8, and the build computes in float32.
    """
    if scheme == "int8" and compute_dtype == "float32":
        raise BadInput(f"{runtime}'s quantizer left the network in float32",
                       remedy="Take float32 on this target; the LiteRT targets are not affected.")


def refuse_quantized(file: Path, runtime: str) -> None:
    """Refuse a file that is quantized already.

    Raises:
        Unsupported: the file holds integer tensors with scales.
    """
    graph = read_graph(file)
    if any(t.quantization is not None for t in graph.tensors):
        raise Unsupported(f"{runtime} does not read LiteRT's quantized files",
                          remedy="Give the float model; a run quantizes from it.")
