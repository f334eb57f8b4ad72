"""Figure 10: time an image by scheme and processor, each device's float32 on its CPU being 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bedside import targets
from bedside.core.build import Measurement, Target
from bedside.core.errors import BedsideError
from bedside.figures.base import FigureData, NotAvailable
from bedside.runfolder import layout

HERE = "this machine"
UNITS = {"cpu": "CPU", "openvino": "CPU", "onnxruntime": "CPU", "ssh": "CPU", "gpu": "GPU",
         "hexagon": "NPU", "ethos-u": "NPU"}
LAB_UNITS = {"wasm": "CPU", "webgpu": "GPU", "webnn": "NPU"}
_LOCAL = ("cpu", "openvino", "onnxruntime", "gpu")
# Section 8.3, VGG16 on the Snapdragon 865; Figure 11 for the server.
PAPER: dict[str, dict[str, float]] = {
    "CPU": {"float32": 1.0, "dynamic": 1 / 3.8, "int8": 1 / 3.8},
    "GPU": {"float32": 0.92, "float16": 0.91}, "NPU": {"int8": 1 / 33}}
PAPER_DEVICE = "Snapdragon 865"
PAPER_NPU_OVER_SERVER = 8.3


def compute(run: Path, model: str) -> FigureData:
    """Facts: ``rows``, one a cell with a latency, see :func:`rows_of`.

    ``ratio`` is to float32 on the CPU of the same device and of the same evidence, null where
    there is none.

    Raises:
        NotAvailable: fewer than two processors have a latency.
    """
    del model
    rows = rows_of(run)
    if len({(r["device"], r["unit"], r["runtime"]) for r in rows}) < 2:
        raise NotAvailable("latencies of one processor only; name more targets with --target")
    for row in rows:
        base = base_of(row, rows)
        row["ratio"] = row["ms"] / base["ms"] if base is not None else None
    return FigureData({}, {"rows": rows, "paper": PAPER, "paper_device": PAPER_DEVICE})


def rows_of(run: Path) -> list[dict[str, Any]]:
    """Every cell with a latency: model, scheme, target, device, unit (CPU, GPU, NPU), runtime,
    ms, how it came about, and whether an estimate is fitted."""
    found = []
    for m in layout.measurements(run):
        place = _place(run, m)
        if m.status != "ok" or m.latency_ms is None or place is None:
            continue
        device, unit, runtime = place
        found.append({
            "model": m.model, "scheme": m.scheme, "target": m.target,
            "device": device, "unit": unit,
            "runtime": runtime, "ms": m.latency_ms.median, "p95": m.latency_ms.p95,
            "evidence": m.evidence.get("latency", "estimated"),
            "unfitted": m.facts.get("fitted") == 0.0})
    return found


def _place(run: Path, m: Measurement) -> tuple[str, str, str] | None:
    """Device, unit and runtime of a cell."""
    if m.machine.get("runtime") == layout.LAB_RUNTIME:
        # A phone of the device lab: it has no profile, and says itself what it is.
        plain = "" if m.machine.get("context") == "https" else ", plain http"
        return (f"{m.machine.get('device')}, {m.machine.get('browser')}{plain}",
                LAB_UNITS.get(m.machine.get("accelerator", ""), "other"), layout.LAB_RUNTIME)
    try:
        target = targets.load(m.target, run)
    except BedsideError:
        return None  # a profile that is gone: its rows stay in the tables
    return _device(target), _unit(target), target.backend


def _unit(target: Target) -> str:
    if target.roofline is not None:
        return target.roofline.unit.upper()
    return UNITS.get(target.backend, "other")


def _device(target: Target) -> str:
    if target.backend in _LOCAL:
        return HERE
    return target.profile or target.id


def base_of(row: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Float32 on the CPU of the same device; LiteRT's where there are several runtimes."""
    able = [r for r in rows if (r["model"], r["device"], r["unit"], r["scheme"]) == (
        row["model"], row["device"], "CPU", "float32")]
    return min(able, key=lambda r: (r["runtime"] not in ("cpu", "estimate"), r["target"]),
               default=None)
