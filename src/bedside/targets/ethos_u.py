"""Target: Arm's Ethos-U NPUs, compiled with Vela, which estimates cycles and memory.

Latency is Vela's own cycle estimate. Accuracy is emulated: LiteRT's reference integer kernels,
whose arithmetic the NPU follows, run the variant's own file (decision 0007).
"""

from __future__ import annotations

import configparser
import csv
import io
import math
import re
import shutil
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

from bedside.core import codec
from bedside.core.build import Build, Latency, Placement, Target
from bedside.core.errors import BadInput, MissingComponent
from bedside.core.registry import did_you_mean
from bedside.core.types import Evidence
from bedside.runtime.files import sha256_file
from bedside.runtime.graph import Graph, operation_format, read_graph
from bedside.targets.base import Availability, BuildRequest, Placed
from bedside.targets.checks import check_file
from bedside.targets.compiled import cached, take
from bedside.targets.cpu import compute_dtype

RUNNER = "bedside.runtime.litert:reference_model"
TAKES_ANY = True
EVIDENCE: dict[str, Evidence] = {"accuracy": "emulated", "latency": "estimated"}
IMAGES = 64
BUDGET_S = 600.0
ACCELERATOR = "ethos-u"
MODEL = "model.tflite"
COMPILED = "compiled.tflite"
SUMMARY = "summary.csv"
REFUSALS = "refusals.json"
CONFIG = "Arm/vela.ini"
_KIB = 1024.0
_ACCELERATORS = tuple(f"ethos-u{k}-{m}" for k, macs in (
    (55, (32, 64, 128, 256)), (65, (256, 512)), (85, (128, 256, 512, 1024, 2048))) for m in macs)
NOTE = "cycles as Vela estimates them, at the clock of the system configuration; no clock was read"


def available() -> Availability:
    """Return whether Vela is installed."""
    from importlib.metadata import version

    if find_spec("ethosu") is None:
        return Availability(False, "Vela (ethos-u-vela) is not installed",
                            "Install the workbench: pip install 'bedside[workbench]'.")
    number = version("ethos-u-vela")
    return Availability(True, f"Vela {number}: compiles and estimates cycles, time and memory",
                        version=f"ethos-u-vela {number}")


def _ini() -> Path:
    found = find_spec("ethosu")
    if found is None or not found.submodule_search_locations:
        raise MissingComponent("Vela (ethos-u-vela) is not installed",
                               remedy="Install the workbench: pip install 'bedside[workbench]'.")
    return Path(next(iter(found.submodule_search_locations))) / "config_files" / CONFIG


def settings(target: Target) -> tuple[str, str, str]:
    """Return accelerator, system configuration and memory mode of a profile.

    Raises:
        BadInput: one is missing, or Vela does not know it.
    """
    parser = configparser.ConfigParser()
    parser.read(_ini())
    known = {"accelerator": _ACCELERATORS}
    for option, section in (("system", "System_Config"), ("memory", "Memory_Mode")):
        known[option] = tuple(s.partition(".")[2] for s in parser.sections()
                              if s.startswith(section))
    for option, names in known.items():
        where = f"targets/{target.id}.toml: options.{option}"
        given = target.options.get(option)
        if given is None:
            raise BadInput("missing", where=where, remedy=f"Add one, as {names[0]}.")
        if given not in names:
            raise BadInput(f"unknown to Vela: {given!r}", where=where,
                           remedy=did_you_mean(given, names))
    return target.options["accelerator"], target.options["system"], target.options["memory"]


def _compiled(file: Path, target: Target) -> Path:
    """Compile once for each content of a file, configuration and version of Vela."""
    accelerator, system, memory = settings(target)

    def make(folder: Path) -> None:
        work = folder / "vela"
        source = folder / MODEL
        shutil.copyfile(file, source)
        done = subprocess.run(
            [sys.executable, "-m", "ethosu.vela", str(source), "--output-dir", str(work),
             "--accelerator-config", accelerator, "--config", CONFIG, "--system-config", system,
             "--memory-mode", memory, "--show-cpu-operations"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            check=False)
        log = done.stdout.decode("utf-8", "replace")
        summaries = sorted(work.glob("*_summary_*.csv")) if work.is_dir() else []
        made = work / f"{source.stem}_vela.tflite"
        if done.returncode != 0 or not summaries or not made.is_file():
            raise BadInput(f"Vela refuses the model ({_fault(log, done.returncode)})", where=file,
                           remedy="Give a complete .tflite with fixed shapes and one signature.")
        shutil.copyfile(made, folder / COMPILED)
        shutil.copyfile(summaries[0], folder / SUMMARY)
        (folder / REFUSALS).write_text(codec.to_json(refusals(log)))
        source.unlink()
        shutil.rmtree(work)

    return cached("ethos-u", (sha256_file(file), accelerator, system, memory,
                            available().version), make)


def _fault(log: str, code: int) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    said = next((line for line in reversed(lines) if "rror" in line), lines[-1] if lines else "")
    return said[:160] if code >= 0 else f"ended by signal {-code}"


_WARNING = re.compile(r"^Warning \(supported operators\) operator: (\S+), ofm: '(.*)'$")


def refusals(log: str) -> dict[str, str]:
    """Return why Vela leaves operations to the host, by the tensor that each writes."""
    found: dict[str, str] = {}
    current = None
    for line in log.splitlines():
        match = _WARNING.match(line.strip())
        if match:
            current = match.group(2)
        elif current is not None and line.strip():
            text = re.sub(r" \(.*\)$", "", line.strip().removeprefix("Reason: "))
            found.setdefault(current, text)
            current = None
    return found


def _placement(graph: Graph, compiled: Graph, reasons: dict[str, str]) -> tuple[Placement, ...]:
    """Place an operation on the host where the compiled file still has it under its own name."""
    left = Counter((o.op, compiled.tensors[o.outputs[0]].name) for o in compiled.operations
                   if o.op != ACCELERATOR and o.outputs)
    rows = []
    for o in graph.operations:
        name = graph.tensors[o.outputs[0]].name
        if not left[o.op, name]:
            rows.append(Placement(o.index, o.op, graph.layer(o), ACCELERATOR))
            continue
        left[o.op, name] -= 1
        edge = _at_edge(graph, o.index)
        rows.append(Placement(
            o.index, o.op, graph.layer(o), "host",
            reasons.get(name, f"the NPU has no {o.op} as {operation_format(graph, o)}"),
            "None needed: it turns the image or the answer from or to float32." if edge else
            "Quantize weights and activations to integers (int8 or int16x8)."
            if "float" in operation_format(graph, o) else
            "Replace the layer by one that Vela takes (vela --supported-ops-report)."))
    return tuple(rows)


def _at_edge(graph: Graph, index: int) -> bool:
    """Return whether an operation only quantizes an input or dequantizes an output of the model."""
    operation = graph.operations[index]
    if operation.op == "QUANTIZE":
        return operation.inputs[0] in graph.inputs
    return operation.op == "DEQUANTIZE" and operation.outputs[0] in graph.outputs


def _placed(file: Path, target: Target) -> tuple[Path, Placed]:
    graph = check_file(file)
    folder = _compiled(file, target)
    compiled = read_graph(folder / COMPILED)
    reasons: dict[str, str] = codec.decode(dict[str, str], codec.parse_json(
        codec.read_text(folder / REFUSALS), REFUSALS))
    placement = _placement(graph, compiled, reasons)
    working = [p for p in placement if not _at_edge(graph, p.index)]
    off = [p for p in working if p.runs_on != ACCELERATOR]
    share = (len(working) - len(off)) / len(working) if working else None
    pieces = sum(o.op == ACCELERATOR for o in compiled.operations)
    reason = (f"{len(off)} of {len(working)} operations stay on the host; the first is "
              f"{off[0].op} {off[0].name!r}: {off[0].reason}" if off else None)
    return folder, Placed(placement, ACCELERATOR, pieces, share, accepted=not off, reason=reason,
                          remedy=off[0].remedy if off else None)


def place(file: Path, target: Target, scratch: Path) -> Placed:
    """Compile the file and read which operations Vela left to the host."""
    del scratch
    return _placed(file, target)[1]


def summary(text: str) -> dict[str, float]:
    """Return cycles, milliseconds and bytes from Vela's summary (one CSV row, memory in KiB).

    Fields that are not finite numbers are left out.
    """
    row = next(csv.DictReader(io.StringIO(text)))
    wanted = {"inference_time": ("latency_ms", 1e3), "cycles_total": ("cycles", 1.0),
              "cycles_npu": ("npu_cycles", 1.0), "core_clock": ("clock_hz", 1.0),
              "nn_macs": ("macs", 1.0), "sram_memory_used": ("sram_bytes", _KIB),
              "dram_memory_used": ("dram_bytes", _KIB),
              "off_chip_flash_memory_used": ("flash_bytes", _KIB)}
    found = {}
    for name, (key, scale) in wanted.items():
        try:
            value = float(row[name]) * scale
        except (KeyError, TypeError, ValueError):
            continue
        if math.isfinite(value):
            found[key] = value
    return found


def build(request: BuildRequest) -> Build:
    """Compile for the configuration; a graph that is partly left to the host is unsupported.

    Raises:
        Unsupported: a file of a kind that no compiler takes.
        BadInput: Vela fails, or does not know the configuration.
    """
    folder, placed = _placed(request.file, request.target)
    facts: dict[str, float] = {}
    files: dict[str, str] = {}
    if placed.accepted:
        facts = summary((folder / SUMMARY).read_text())
        files = take(folder, request.scratch, (COMPILED,))
        shutil.copyfile(request.file, request.scratch / MODEL)
        facts["compiled_bytes"] = float((request.scratch / COMPILED).stat().st_size)
        files = {MODEL: request.variant.sha256, **files}
    ms = facts.pop("latency_ms", None)
    return Build(
        variant=request.variant.id, target=request.target.id, format="vela", files=files,
        main=MODEL,
        quantizer=request.quantizer,
        delegated_fraction=placed.delegated_fraction, partitions=placed.partitions,
        placement=placed.placement, compute_dtype=compute_dtype(read_graph(request.file)),
        status="ok" if placed.accepted else "unsupported", reason=placed.reason,
        measures=("accuracy",), facts=facts, latency_note=NOTE,
        latency_ms=Latency(ms, None, 0, 1) if placed.accepted and ms else None)
