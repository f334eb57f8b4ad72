"""Figure 11: the server's CPU against NPUs, milliseconds an image."""

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
    """Facts: ``rows``: the fastest CPU row of each server and scheme (float32, int8), and every
    NPU's; what was not measured is in no ranking.

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
    """Milliseconds an image on a logarithmic axis, servers above, NPUs below."""
    rows = data.facts["rows"]
    models = list(dict.fromkeys(r["model"] for r in rows))
    figure = style.new_figure(1.1 + 0.29 * (len(rows) + 1.6 * len(models)))
    axes = figure.add_subplot()
    axes.set_xscale("log")
    low = 0.5 * min(r["ms"] for r in rows)
    y, ticks, labels = 0.0, [], []
    for model in models:
        axes.annotate(model, (low, y), xytext=(4, 0), textcoords="offset points", weight="bold",
                      va="center")
        for row in (r for r in rows if r["model"] == model):  # servers first, as computed
            y += 1
            bars.bar(axes, y, row["ms"], style.scheme_colour(row["scheme"]), row)
            axes.annotate(f"{row['ms']:.3g} ms  {bars.word(row)}", (1.012, y),
                          xycoords=("axes fraction", "data"), va="center", fontsize=8,
                          annotation_clip=False)
            ticks.append(y)
            labels.append(f"{_where(row)}  {style.short_name(row['scheme'])}")
        y += 1.6
    axes.set_yticks(ticks, labels)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(y - 0.9, -0.8)
    axes.set_xlim(low, 1.3 * max(r["ms"] for r in rows))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("milliseconds an image (logarithmic)")
    style.grid(axes, "x")
    marks: list[Any] = list(bars.handles(rows))
    figure.legend(handles=marks, loc="outside upper right", ncols=len(marks))
    return figure


def caption(data: FigureData) -> str:
    """What to see."""
    rows = data.facts["rows"]
    quickest: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["unit"] == "CPU" and row["evidence"] == "measured":
            best = quickest.get(row["model"])
            if best is None or row["ms"] < best["ms"]:
                quickest[row["model"]] = row
    said = "; ".join(f"{m}: {style.short_name(r['scheme'])} on {r['target']}, {r['ms']:.3g} ms"
                     for m, r in quickest.items())
    return ("The server's CPU against NPUs (the paper's Figure 11). The CPU rows are the fastest "
            "of LiteRT, OpenVINO and ONNX Runtime in the study, for FP32 and for INT8"
            + (f"; the fastest measured here: {said}" if said else "")
            + ". NPU times that are hatched were not measured, so no factor between the two is "
            f"given. The paper measured {data.facts['paper_factor']} times in favour of its "
            "NPU's INT8, against FP32 on its server.")
