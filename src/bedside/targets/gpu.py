"""Target: this machine's GPU through LiteRT's compiled-model API (WebGPU on Vulkan).

A GPU delegate can be silently wrong, so every cell is compared with the CPU on its own images.
On a software adapter (SwiftShader, lavapipe) the logits are those of the GPU's shaders, but the
time is meaningless: it is labelled emulated and never ranked.
"""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bedside.core.build import Agreement, Build, Placement, Target
from bedside.core.errors import BadInput, MissingComponent, Unsupported
from bedside.core.types import Evidence
from bedside.runtime.graph import Graph, read_graph
from bedside.runtime.litert import LOGITS, LiteRTModel, quiet_stderr
from bedside.targets import vulkan
from bedside.targets.base import Availability, BuildRequest, Placed
from bedside.targets.checks import check_file
from bedside.targets.cpu import compute_dtype

RUNNER = "bedside.targets.gpu:GpuModel"
REFERENCE = "bedside.runtime.litert:LiteRTModel"
EVIDENCE: dict[str, Evidence] = {"accuracy": "measured", "latency": "measured"}
ACCELERATOR = "gpu"
MODEL = "model.tflite"
TOLERANCE = 0.01
SOFTWARE_SAMPLING = (1, 1, 2)
BUDGET_S = 600.0
_FLOAT = frozenset({"float32", "float16"})


def available() -> Availability:
    """Return whether a Vulkan device is here, and whether it is a real one."""
    from importlib.metadata import version

    litert = f"LiteRT {version('ai-edge-litert')}"
    if platform.system() != "Linux":
        return Availability(True, f"{litert} on this system's own graphics interface",
                            version=litert)
    adapter, _ = vulkan.choose()
    if adapter is None:
        return Availability(False, "no Vulkan device",
                            "Install the GPU's Vulkan driver and libvulkan1; without a GPU, "
                            "Debian's chromium package brings a software one.")
    kind = "software, its times are not ranked" if adapter.software else "GPU"
    return Availability(True, f"{litert} on {adapter.name} ({kind})",
                        version=f"{litert} {adapter.name}")


def accept(agreement: Agreement) -> str | None:
    """Return why logits are too far from the CPU's (over 1% of their range, or a class differs)."""
    if agreement.changed:
        return (f"the GPU gives another class than the CPU for {agreement.changed} of "
                f"{agreement.n} images")
    if agreement.rmse > TOLERANCE * agreement.logit_range:
        share = agreement.rmse / agreement.logit_range if agreement.logit_range else float("inf")
        return (f"the GPU's logits differ from the CPU's by {share:.1%} of their range (RMSE, "
                f"{agreement.n} images); {TOLERANCE:.0%} is allowed")
    return None


def software() -> bool:
    """Return whether the adapter that would be used is software on the CPU."""
    adapter, _ = vulkan.choose()
    return adapter is not None and adapter.software


class GpuModel:
    """A model on the GPU: real-valued image in, outputs by name out.

    Args:
        path: the ``.tflite``, with float32 in and out.
        threads: of the CPU, for what is left on it.

    Raises:
        Unsupported: integer inputs or outputs.
        BadInput: it does not load.
        MissingComponent: there is no GPU.
    """

    def __init__(self, path: Path, threads: int = 2) -> None:
        del threads
        graph = check_file(path)
        self._check_formats(graph)
        if platform.system() == "Linux":
            adapter, environment = vulkan.choose()
            if adapter is None:
                raise MissingComponent("no Vulkan device", remedy=available().remedy)
            os.environ.update(environment)
        self._model = self._load(path)
        self._signature = next(iter(self._model.get_signature_list()))
        self._inputs = self._model.create_input_buffers(0)
        self._outputs = self._model.create_output_buffers(0)
        names = self._model.get_signature_list()[self._signature]["outputs"]
        details = self._model.get_output_tensor_details(self._signature)
        self._shapes = {n: tuple(int(v) for v in details[n]["shape"]) for n in names}
        if LOGITS not in self._shapes:
            if len(self._shapes) != 1:
                raise BadInput(f"the model has {len(names)} outputs and none is named 'logits'",
                               where=path, remedy="Export it with one logits output.")
            self._shapes = {LOGITS: next(iter(self._shapes.values()))}

    @staticmethod
    def _check_formats(graph: Graph) -> None:
        for index in (*graph.inputs, *graph.outputs):
            dtype = graph.tensors[index].dtype
            if dtype != "float32":
                raise Unsupported(f"the GPU takes float32 in and out, this file has {dtype}",
                                  remedy="Use the scheme without io8 or io16.")

    @staticmethod
    def _load(path: Path) -> Any:
        from ai_edge_litert.compiled_model import CompiledModel
        from ai_edge_litert.hardware_accelerator import HardwareAccelerator
        from ai_edge_litert.options import Options

        both = HardwareAccelerator.GPU | HardwareAccelerator.CPU
        try:
            with quiet_stderr():
                return CompiledModel.from_file(str(path),
                                               options=Options(hardware_accelerators=both))
        except (RuntimeError, ValueError) as error:
            first = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
            raise BadInput(f"LiteRT cannot load the model for the GPU ({first})", where=path,
                           remedy="Give a complete .tflite file, or another scheme.") from None

    @property
    def whole(self) -> bool:
        """Whether every operation runs on the GPU."""
        return bool(self._model.is_fully_accelerated())

    def run(self, image: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        """Run one image, (1, H, W, C) float32, to outputs by name."""
        self._inputs[0].write(np.ascontiguousarray(image, np.float32).ravel())
        self._model.run_by_index(0, self._inputs, self._outputs)
        return {name: np.asarray(buffer.read(int(np.prod(shape)), np.float32)).reshape(shape)
                for buffer, (name, shape) in zip(self._outputs, self._shapes.items(),
                                                 strict=True)}


def place(file: Path, target: Target, scratch: Path) -> Placed:
    """Load the file for the GPU (nothing is run) and ask whether it took all of it.

    LiteRT does not say which operations it left where it took a part.
    """
    del scratch
    whole = GpuModel(file, target.threads).whole
    graph = read_graph(file)
    placement = tuple(
        Placement(o.index, o.op, graph.layer(o), ACCELERATOR) if whole else
        Placement(o.index, o.op, graph.layer(o), "gpu or cpu",
                  "the GPU took a part of the graph, and LiteRT does not say which")
        for o in graph.operations)
    return Placed(placement, ACCELERATOR, 1 if whole else None, 1.0 if whole else None)


def build(request: BuildRequest) -> Build:
    """Take the variant's own file as the build, and find whether the GPU runs all of it."""
    LiteRTModel(request.file, request.target.threads)  # its message is clearer
    placed = place(request.file, request.target, request.scratch)
    shutil.copyfile(request.file, request.scratch / MODEL)
    kind = compute_dtype(read_graph(request.file))
    played = software()
    adapter = vulkan.choose()[0]
    return Build(
        variant=request.variant.id, target=request.target.id, format="tflite",
        files={MODEL: request.variant.sha256},
        quantizer=request.quantizer,
        delegated_fraction=placed.delegated_fraction, partitions=placed.partitions,
        placement=placed.placement, compute_dtype=kind if kind in _FLOAT else None,
        measures=("accuracy", "latency"), evidence={"latency": "emulated"} if played else {},
        sampling=SOFTWARE_SAMPLING if played else None,
        latency_note=f"a software adapter ({adapter.name if adapter else 'unknown'}) plays the "
                     "GPU: this time says nothing about one" if played else None)
