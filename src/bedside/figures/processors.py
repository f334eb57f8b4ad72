"""Figure 10: time per image by scheme and processor, float32 on each device's CPU being 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bedside import targets
from bedside.core.build import Measurement, Target
from bedside.core.errors import BedsideError
from bedside.figures import bars, inputs, style
from bedside.figures.base import VERSION, FigureData, NotAvailable, Reads
from bedside.runfolder import layout, stored

TITLE = "Inference time by scheme and processor (the paper's Figure 10)"
READS = Reads(whole_study=True, version=VERSION + 1)
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

Row = dict[str, Any]
_UNITS = ("CPU", "GPU", "NPU")


def compute(run: Path, model: str) -> FigureData:
    """Compute every cell's ratio to float32 on the CPU of the same device.

    Facts: ``rows``, one per cell with a latency, see :func:`rows_of`. ``ratio`` is null, with
    ``ratio_reason``, where that device has no float32 cell or where one of the two latencies was
    measured and the other estimated: such a ratio would compare a device with a model of it.

    Raises:
        NotAvailable: fewer than two processors have a latency.
    """
    del model
    rows = rows_of(run)
    if len({(r["device"], r["unit"], r["runtime"]) for r in rows}) < 2:
        raise NotAvailable("latencies of one processor only; name more targets with --target")
    for row in rows:
        base, why = base_of(row, rows), None
        if base is None:
            why = "without FP32 on the same device's CPU"
        elif base["evidence"] != row["evidence"]:
            why = f"{row['evidence']}, where FP32 on the same device's CPU is {base['evidence']}"
        row["ratio"] = row["ms"] / base["ms"] if base is not None and why is None else None
        row["ratio_reason"] = why
    return FigureData({}, {"rows": rows, "paper": PAPER, "paper_device": PAPER_DEVICE})


def rows_of(run: Path) -> list[dict[str, Any]]:
    """Return every cell with a latency.

    Model, scheme, target, device, unit (CPU, GPU, NPU), runtime, ms, evidence, and whether an
    estimate is fitted.
    """
    rows = []
    for m in stored.measurements(run):
        place = _place(run, m)
        if m.status != "ok" or m.latency_ms is None or place is None:
            continue
        device, unit, runtime = place
        rows.append({
            "model": m.model, "scheme": m.scheme, "target": m.target,
            "device": device, "unit": unit,
            "runtime": runtime, "ms": m.latency_ms.median, "p95": m.latency_ms.p95,
            "evidence": m.evidence.get("latency", "estimated"),
            "unfitted": m.facts.get("fitted") == 0.0})
    return rows


def _place(run: Path, m: Measurement) -> tuple[str, str, str] | None:
    """Return device, unit and runtime of a cell."""
    if m.machine.get("runtime") == layout.LAB_RUNTIME:
        # A phone of the device lab has no profile; it reports its own device and browser.
        plain = "" if m.machine.get("context") == "https" else ", plain http"
        return (f"{m.machine.get('device')}, {m.machine.get('browser')}{plain}",
                LAB_UNITS.get(m.machine.get("accelerator", ""), "other"), layout.LAB_RUNTIME)
    try:
        target = targets.load(m.target, run)
    except BedsideError:
        return None  # The profile is gone; its rows stay in the tables.
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
    """Return float32 on the CPU of the same device, LiteRT's where there are several runtimes.

    One with the row's own kind of evidence where there is such a one.
    """
    able = [r for r in rows if (r["model"], r["device"], r["unit"], r["scheme"]) == (
        row["model"], row["device"], "CPU", "float32")]
    return min(able, key=lambda r: (
        r["evidence"] != row["evidence"], r["runtime"] not in ("cpu", "estimate"), r["target"]),
        default=None)


# ------------------------------------------------------------------ drawing


def _shown(data: FigureData) -> list[Row]:
    return [r for r in data.facts["rows"] if r["ratio"] is not None]


def _where(row: Row) -> str:
    runtime = bars.RUNTIMES.get(row["runtime"])
    return f"{row['unit']}, {runtime}" if runtime else str(row["unit"])


def _rank(row: Row) -> tuple[int, str, tuple[int, str]]:
    unit = _UNITS.index(row["unit"]) if row["unit"] in _UNITS else len(_UNITS)
    return (unit, row["target"], inputs.scheme_order(row["scheme"]))


def _times(ratio: float) -> str:
    return f"×{ratio:.2g}" if ratio < 99.5 else f"×{ratio:.0f}"


def draw(data: FigureData) -> Figure:
    """Draw a bar per cell, by device, network and processor; the paper's ratios as red ticks.

    Bars start at 1, FP32 on the device's CPU, and extend to the left where a cell is faster. The
    axis is logarithmic, because a software GPU takes hundreds of times as long and measured cells
    must stay readable beside it.
    """
    rows = _shown(data)
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["device"], row["model"]), []).append(row)
    figure = style.new_figure(1.1 + 0.27 * (len(rows) + 1.6 * len(groups)))
    axes = figure.add_subplot()
    axes.set_xscale("log")
    ratios = [1.0, *(r["ratio"] for r in rows)]
    if any(r["device"] == data.facts["paper_device"] for r in rows):
        ratios += [v for unit in data.facts["paper"].values() for v in unit.values()]
    low, high = 0.7 * min(ratios), 1.4 * max(ratios)
    axes.axvline(1.0, color=style.INK, lw=1.0)
    y, ticks, labels, paper = 0.0, [], [], False
    for (device, model), own in groups.items():
        bars.heading(axes, y, f"{model} on {device}", low,
                     bbox={"fc": "white", "ec": "none", "pad": 1})
        for row in sorted(own, key=_rank):
            y += 1
            flat = 0.97 < row["ratio"] < 1.03  # FP32 itself: keep its bar visible
            bars.bar(axes, y, 1.03 if flat else row["ratio"],
                     style.scheme_colour(row["scheme"]), row, 0.97 if flat else 1.0)
            bars.note(axes, y, f"{row['ms']:.3g} ms  {_times(row['ratio'])}  {bars.word(row)}", 7.5)
            printed = (data.facts["paper"].get(row["unit"], {}).get(row["scheme"])
                       if device == data.facts["paper_device"] else None)
            if printed is not None:
                paper = True
                axes.plot([printed] * 2, [y - 0.42, y + 0.42], color=style.MARK, lw=1.8)
            ticks.append(y)
            labels.append(f"{_where(row)}  {style.short_name(row['scheme'])}")
        y += 1.6
    bars.finish(axes, ticks, labels, (y - 0.9, -0.8))
    axes.set_xlim(low, high)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("time per image ÷ FP32 of the same network on the CPU of the same device\n"
                    "(logarithmic; left of the line is faster)")
    marks: list[Any] = list(bars.handles(rows))
    if paper:
        marks.append(Line2D([], [], color=style.MARK, lw=1.8, label="the paper's VGG16, measured"))
    figure.legend(handles=marks, loc="outside upper right", ncols=len(marks))
    return figure


def caption(data: FigureData) -> str:
    """State the result, with the figure's own numbers."""
    rows = _shown(data)
    measured = [r for r in rows if r["evidence"] == "measured"]
    said = ""
    if measured:
        best = min(measured, key=lambda r: r["ratio"])
        said = (f"The largest measured gain is {best['model']} "
                f"{style.scheme_name(best['scheme'])} on {best['target']}: {best['ms']:.3g} ms, "
                f"{best['ratio']:.2f} × FP32's time. ")
    reasons: dict[str, set[str]] = {}
    for row in data.facts["rows"]:
        if row["ratio"] is None:
            reasons.setdefault(row["ratio_reason"], set()).add(row["target"])
    absent = "; ".join(f"{', '.join(sorted(ids))} ({why})" for why, ids in sorted(reasons.items()))
    rest = f" Not drawn: {absent}." if absent else ""
    return (f"{said}Inference time by scheme and processor (the paper's Figure 10). Filled bars "
            "were measured; hatched ones were emulated, simulated or estimated and are not ranked; "
            "dashed ones come from a profile not fitted to a published latency. The paper found "
            "dynamic range and full integer 3.8 times as fast on its CPU, 8 to 9% less time on "
            f"its GPU, and full integer 33 times as fast on its NPU.{rest}")
