"""Figure 11: server CPU against NPUs, milliseconds per image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from bedside.figures import bars, style
from bedside.figures.base import FigureData, NotAvailable, Reads
from bedside.figures.processors import HERE, PAPER_NPU_OVER_SERVER, rows_of

TITLE = "Server CPU against NPU (the paper's Figure 11)"
READS = Reads(whole_study=True)


def compute(run: Path, model: str) -> FigureData:
    """Select the rows to compare.

    Facts: ``rows``: the fastest CPU row of each server and scheme (float32, int8), and every NPU's;
    values that were not measured are not ranked.

    Raises:
        NotAvailable: no latency of a server's CPU, or of an NPU.
    """
    del model
    every = rows_of(run)
    npu = [r for r in every if r["unit"] == "NPU" and r["scheme"].split("+")[0] == "int8"]
    server = []
    for device in dict.fromkeys(r["device"] for r in every):
        if device != HERE and "xeon" not in device.lower():
            continue
        for name in dict.fromkeys(r["model"] for r in every):
            for scheme in ("float32", "int8"):
                able = [r for r in every if (r["device"], r["unit"], r["model"], r["scheme"]) == (
                    device, "CPU", name, scheme)]
                if able:
                    server.append(min(able, key=lambda r: r["ms"]))
    if not server or not npu:
        missing = "an NPU" if server else "a server's CPU"
        raise NotAvailable(f"no latency of {missing}; name such a target with --target")
    return FigureData({}, {"rows": [*server, *npu], "paper_factor": PAPER_NPU_OVER_SERVER})


# ------------------------------------------------------------------ drawing


def _where(row: dict[str, Any]) -> str:
    if row["unit"] != "CPU":
        return f"{row['unit']}, {row['target']}"
    runtime = bars.RUNTIMES.get(row["runtime"])
    return f"CPU of {row['device']}" + (f", {runtime}" if runtime else "")


def draw(data: FigureData) -> Figure:
    """Draw milliseconds per image on a logarithmic axis, servers above, NPUs below."""
    rows = data.facts["rows"]
    models = list(dict.fromkeys(r["model"] for r in rows))
    figure = style.new_figure(1.1 + 0.29 * (len(rows) + 1.6 * len(models)))
    axes = figure.add_subplot()
    axes.set_xscale("log")
    low = 0.5 * min(r["ms"] for r in rows)
    y, ticks, labels = 0.0, [], []
    for model in models:
        bars.heading(axes, y, model, low)
        for row in (r for r in rows if r["model"] == model):
            y += 1
            bars.bar(axes, y, row["ms"], style.scheme_colour(row["scheme"]), row)
            bars.note(axes, y, f"{row['ms']:.3g} ms  {bars.word(row)}")
            ticks.append(y)
            labels.append(f"{_where(row)}  {style.short_name(row['scheme'])}")
        y += 1.6
    bars.finish(axes, ticks, labels, (y - 0.9, -0.8))
    axes.set_xlim(low, 1.3 * max(r["ms"] for r in rows))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("milliseconds per image (logarithmic)")
    marks = bars.handles(rows)
    figure.legend(handles=marks, loc="outside upper right", ncols=len(marks))
    return figure


def caption(data: FigureData) -> str:
    """State the result, with the figure's own numbers."""
    rows = data.facts["rows"]
    fastest: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["unit"] == "CPU" and row["evidence"] == "measured":
            best = fastest.get(row["model"])
            if best is None or row["ms"] < best["ms"]:
                fastest[row["model"]] = row
    said = "; ".join(f"{m}: {style.short_name(r['scheme'])} on {r['target']}, {r['ms']:.3g} ms"
                     for m, r in fastest.items())
    return ((f"Fastest measured on the server's CPU: {said}. " if said else "")
            + "The server's CPU against NPUs (the paper's Figure 11); the CPU rows are the fastest "
            "of LiteRT, OpenVINO and ONNX Runtime in the study, for FP32 and for INT8. Hatched NPU "
            "times were not measured, so no ratio between the two is given. The paper measured "
            f"its NPU's INT8 as {data.facts['paper_factor']} times as fast as FP32 on its server.")
