"""Target: Qualcomm's Hexagon NPU, compiled ahead of time, run on Qualcomm's simulator.

The build holds the compiled ``.tflite`` (what the phone loads), the same context wrapped for the
simulator, and the variant's own file. Accuracy is simulated with the chip's own artefact. The
simulator keeps no time: latency is estimated by the cost model of the chip's NPU where one was
fitted (the profile's ``latency``), for the operations that the compiler really put there.
"""

from __future__ import annotations

import platform
import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from bedside import targets
from bedside.core import codec
from bedside.core.build import Build, Latency, Placement, Target
from bedside.core.errors import BadInput, MissingComponent, Unsupported
from bedside.core.types import Evidence
from bedside.runtime.files import sha256_file, write_text
from bedside.runtime.graph import Graph, operation_format
from bedside.targets import estimate, ort, qnn_context, qualcomm, roofline
from bedside.targets.base import Availability, BuildRequest, Placed, fraction
from bedside.targets.checks import check_file
from bedside.targets.compiled import cached, take

RUNNER = "bedside.targets.qnn_context:Simulator"
REFERENCE = "bedside.runtime.litert:LiteRTModel"
EVIDENCE: dict[str, Evidence] = {"accuracy": "simulated", "latency": "estimated"}
IMAGES = 64
BUDGET_S = 600.0
ACCELERATOR = "hexagon"

COMPILED = "compiled.tflite"
CONTEXT = "context.onnx"
FACTS = "compilation.json"
LATENCY_NOTE = ("Qualcomm's simulator keeps no time, and no published latency of this chip is "
                "known to estimate from; the compiled file is ready to be timed on the device")


def available() -> Availability:
    """Return whether compiler, plugin, patchelf and simulator are all here."""
    try:
        if platform.system() != "Linux" or platform.machine() != "x86_64":
            raise MissingComponent("Qualcomm's compiler and simulator need x86-64 Linux",
                                   remedy="Run this target on such a machine.")
        qualcomm.tool()
        qualcomm.patcher()
        ort.qnn_folder()
        version = qualcomm.version()
        for name in ("onnxruntime", "onnx"):
            if find_spec(name) is None:
                raise MissingComponent(f"the package {name!r} is not installed",
                                       remedy="Install the workbench: "
                                              "pip install 'bedside[workbench]'.")
    except MissingComponent as error:
        return Availability(False, error.fault, error.remedy)
    return Availability(True, f"compiler and x86 simulator ({version})", version=version)


def chip(target: Target) -> str:
    """Return the chip that a profile names.

    Raises:
        BadInput: it names none, or one that the compiler does not know.
    """
    where = f"targets/{target.id}.toml: options.chip"
    if "chip" not in target.options:
        raise BadInput("no chip is named", where=where, remedy=f"Add one, as {qualcomm.CHIPS[0]}.")
    qualcomm.check_chip(target.options["chip"], where)
    return target.options["chip"]


def _compiled(file: Path, target: Target) -> tuple[Path, qualcomm.Compilation]:
    """Compile once for each content of a file, chip and version of the compiler."""
    name = chip(target)

    def make(folder: Path) -> None:
        found = qualcomm.compile_file(file, name, folder / COMPILED)
        write_text(folder / FACTS, codec.to_json({
            **codec.encode(found), "refused": {str(k): v for k, v in found.refused.items()}}))
        if _whole(found):
            qnn_context.wrap(qnn_context.extract(folder / COMPILED), found.soc, folder / CONTEXT)

    folder = cached("hexagon", (sha256_file(file), name, qualcomm.version(), "context 1"), make)
    facts = codec.parse_json(codec.read_text(folder / FACTS), FACTS)
    facts["refused"] = {int(k): v for k, v in facts["refused"].items()}
    return folder, qualcomm.Compilation(**facts)


def _whole(found: qualcomm.Compilation) -> bool:
    return found.taken == found.operations and found.partitions == 1


def place(file: Path, target: Target, scratch: Path) -> Placed:
    """Compile the file (nothing is run) and read which operations the NPU takes."""
    del scratch
    graph = check_file(file)
    _, found = _compiled(file, target)
    placement = _placement(graph, found)
    whole = _whole(found)
    return Placed(
        placement, ACCELERATOR, found.partitions, fraction(placement, ACCELERATOR, frozenset()),
        accepted=whole, reason=None if whole else _partial(graph, found),
        remedy=None if whole else "Use a scheme that the NPU takes whole: int8, or float16.")


def _placement(graph: Graph, found: qualcomm.Compilation) -> tuple[Placement, ...]:
    return tuple(
        Placement(o.index, o.op, graph.layer(o), ACCELERATOR) if o.index not in found.refused else
        Placement(o.index, o.op, graph.layer(o), "cpu",
                  f"{found.refused[o.index]} ({operation_format(graph, o)})", _remedy(o.op))
        for o in graph.operations)


def _remedy(op: str) -> str:
    if op in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
        return "Quantize weights and activations to one format (int8), or use float16."
    return "Replace the layer by one that the NPU has, or use another scheme."


def _partial(graph: Graph, found: qualcomm.Compilation) -> str:
    left = found.operations - found.taken
    first = min(found.refused, default=None)
    named = ""
    if first is not None and first < len(graph.operations):
        operation = graph.operations[first]
        named = f"; the first is {operation.op} {graph.layer(operation)!r}: {found.refused[first]}"
    return (f"{left} of {found.operations} operations stay off the NPU, in {found.partitions} "
            f"partitions{named}")


def build(request: BuildRequest) -> Build:
    """Compile for the chip and wrap the context for the simulator.

    A graph of which part stays off the NPU is an unsupported build, with its placement.

    Raises:
        Unsupported: the NPU takes nothing, or the file is of a kind that it cannot take.
        BadInput: the compiler fails, or the chip is not known.
    """
    graph = check_file(request.file)
    folder, found = _compiled(request.file, request.target)
    placement = _placement(graph, found)
    made = Build(
        variant=request.variant.id, target=request.target.id, format="qnn-context", files={},
        quantizer=request.quantizer,
        delegated_fraction=fraction(placement, ACCELERATOR, frozenset()),
        partitions=found.partitions, placement=placement, compute_dtype=_dtype(graph),
        measures=("accuracy",), latency_note=LATENCY_NOTE,
        facts={"npu_architecture": float(found.arch)})
    if not _whole(found):
        return replace(made, status="unsupported", reason=_partial(graph, found))
    files = take(folder, request.scratch, (CONTEXT, COMPILED))
    shutil.copyfile(request.file, request.scratch / qnn_context.MODEL)
    size = float((request.scratch / COMPILED).stat().st_size)
    return _estimated(request.target, request.run, graph, replace(
        made, files={**files, qnn_context.MODEL: request.variant.sha256}, main=CONTEXT,
        facts={**made.facts, "compiled_bytes": size}))


def depends(target: Target, run: Path) -> Target | None:
    """Return the profile that the latency is estimated with; None without one."""
    return targets.profiles(run).get(target.options.get("latency", ""))


def _estimated(target: Target, run: Path, graph: Graph, made: Build) -> Build:
    """Estimate the latency by the profile's cost model, with every operation on the NPU."""
    name = target.options.get("latency")
    if name is None:
        return made
    profile = estimate.profile(targets.load(name, run))
    try:
        found = roofline.predict(roofline.works(graph), profile)
    except Unsupported as error:
        return replace(made, latency_note=f"no estimate: {error.fault}")
    facts = {"fitted": float(found.fitted), "energy_mj_45nm": found.energy_mj}
    return replace(
        made, latency_ms=Latency(found.ms, None, 0, target.threads),
        latency_note=f"the cost model {name} over the operations as compiled "
                     f"({estimate.note(found, profile)}); Qualcomm's simulator keeps no time",
        facts={**made.facts, **facts})


def _dtype(graph: Graph) -> str:
    """Return the NPU's arithmetic: half precision for float graphs, integers as they are."""
    kinds = {operation_format(graph, o) for o in graph.convolutions()}
    if kinds <= {"float32", "float16", "float32×float16"}:
        return "float16"
    return "int8" if kinds == {"int8"} else "/".join(sorted(kinds))


