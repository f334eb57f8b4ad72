"""Figure 10, CPU part: time per image, each model's float32 on the CPU being 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bedside.figures import bars, inputs, style
from bedside.figures.base import FigureData, NotAvailable, Reads
from bedside.runfolder import latency, layout, stored

TITLE = "Inference time on the CPU (the CPU part of the paper's Figure 10)"
READS = Reads(whole_study=True)
RESAMPLES = 2000
# Section 8.3: VGG16 on the Snapdragon 865, the original on its CPU being 1.
PAPER_CPU = {"float32": 1.0, "dynamic": 1 / 3.8, "int8": 1 / 3.8, "float16": 1.0}
PAPER = {"network": "vgg16", "device": "Snapdragon 865", "cpu": PAPER_CPU,
         "gpu": {"float32": 0.92, "float16": 0.91}, "npu": {"int8": 1 / 33}}

_POINTS = 60


def compute(run: Path, model: str) -> FigureData:
    """Summarize raw latency samples by model and scheme.

    Arrays: ``ms:<model>:<scheme>`` and ``round:<model>:<scheme>`` (n,), the raw samples.

    Facts: ``models``, by model and scheme: median, 5th and 95th percentile in ms, and where the
    original was measured the ratio of medians with its 95% interval (bootstrap over rounds and
    samples, seeded).

    Raises:
        NotAvailable: no latency was measured on a CPU.
    """
    del model
    arrays: dict[str, npt.NDArray[Any]] = {}
    table: dict[str, dict[str, Any]] = {}
    machine: dict[str, str] = {}
    threads = set()
    for name in sorted({v.model for v in stored.variants(run)}):
        samples = {}
        for label, variant in inputs.variants_of(run, name).items():
            cell = inputs.cpu_cell(run, variant.id)
            if cell is None or cell.evidence.get("latency") != "measured":
                continue
            raw = latency.read(
                layout.measurement_dir(run, cell.variant, cell.target) / layout.LATENCY)
            if not raw:
                continue
            rounds, ms = np.array([r for r, _, _ in raw], np.int64), np.array([s[2] for s in raw])
            samples[label] = (rounds, ms)
            arrays |= {f"ms:{name}:{label}": ms, f"round:{name}:{label}": rounds}
            machine = machine or cell.machine
            if cell.latency_ms is not None:
                threads.add(cell.latency_ms.threads)
        if samples:
            table[name] = _describe(samples)
    if not table:
        raise NotAvailable("no latency was measured on this machine's CPU")
    return FigureData(arrays, {"models": table, "machine": machine, "paper": PAPER,
                               "threads": sorted(threads)})


def _describe(samples: dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]
              ) -> dict[str, Any]:
    base = samples.get(inputs.ORIGINAL)
    table: dict[str, Any] = {}
    for label, (rounds, ms) in samples.items():
        low, median, high = (float(v) for v in np.percentile(ms, [5, 50, 95]))
        table[label] = {"median_ms": median, "p5_ms": low, "p95_ms": high, "n": int(ms.size),
                        "ratio": None, "ratio_low": None, "ratio_high": None}
        if base is not None:
            ratio = median / float(np.median(base[1]))
            bounds = ((ratio, ratio) if label == inputs.ORIGINAL
                      else ratio_interval(base, (rounds, ms)))
            table[label] |= {"ratio": ratio, "ratio_low": bounds[0], "ratio_high": bounds[1]}
    return table


def ratio_interval(base: tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]],
                   other: tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]
                   ) -> tuple[float, float]:
    """Return the 95% percentile interval of the ratio of medians, other to base.

    Two-stage bootstrap, rounds and then samples within them (Davison and Hinkley 1997, Section
    3.8), because samples of one round share the machine's state. Variants are interleaved, so both
    sides draw the same rounds where they have the same.
    """
    rng = np.random.default_rng(0)
    groups = [{int(r): ms[rounds == r] for r in np.unique(rounds)} for rounds, ms in (base, other)]
    shared = sorted(set(groups[0]) & set(groups[1]))
    ratios = np.empty(RESAMPLES)
    for i in range(RESAMPLES):
        medians = []
        drawn = rng.choice(shared, len(shared)) if shared else None
        for group in groups:
            keys = drawn if drawn is not None else rng.choice(list(group), len(group))
            medians.append(np.median(np.concatenate(
                [rng.choice(group[int(k)], group[int(k)].size) for k in keys])))
        ratios[i] = medians[1] / medians[0]
    low, high = np.percentile(ratios, [2.5, 97.5])
    return float(low), float(high)


# ------------------------------------------------------------------ drawing


def draw(data: FigureData) -> Figure:
    """Draw median bars with raw samples, and the paper's ratio as a tick."""
    models = data.facts["models"]
    paper = data.facts["paper"]["cpu"]
    rows = sum(len(m) + 1 for m in models.values())
    figure = style.new_figure(0.9 + 0.29 * rows)
    axes = figure.add_subplot()
    limit = 1.25 * _widest(data)
    y = 0.0
    ticks: list[float] = []
    labels: list[str] = []
    for model, schemes in models.items():
        bars.heading(axes, y, model)
        unit = _unit(schemes)
        for label, row in schemes.items():
            y += 1
            ms = data.arrays[f"ms:{model}:{label}"] / unit
            axes.barh(y, row["median_ms"] / unit, height=0.7, color=style.scheme_colour(label),
                      alpha=0.75)
            shown = ms[np.linspace(0, ms.size - 1, min(ms.size, _POINTS)).astype(int)]
            wobble = np.random.default_rng(0).uniform(-0.22, 0.22, shown.size)
            axes.plot(shown, y + wobble, "o", ms=1.8, mfc=style.INK, mec="none", alpha=0.45)
            beyond = int(np.count_nonzero(ms > limit))
            bars.note(axes, y, _note(row) + (f" ({beyond} of {ms.size} beyond)" if beyond else ""))
            if label in paper:
                for colour, width in (("white", 3.2), (style.MARK, 1.6)):
                    axes.plot([paper[label]] * 2, [y - 0.42, y + 0.42], color=colour, lw=width,
                              solid_capstyle="butt")
            ticks.append(y)
            labels.append(style.scheme_name(label))
        y += 1.3
    bars.finish(axes, ticks, labels, (y - 0.6, -0.6))
    axes.set_xlim(0, limit)
    axes.set_xlabel("time per image ÷ median of the same network's FP32 on this CPU "
                    "(dots: raw samples)")
    if any(label in paper for schemes in models.values() for label in schemes):
        mark = Line2D([], [], color=style.MARK, lw=1.6,
                      label="the paper's VGG16 on a Snapdragon 865 CPU")
        figure.legend(handles=[mark], loc="outside upper right")
    return figure


def _unit(schemes: dict[str, Any]) -> float:
    """Return the milliseconds that are 1 on the axis: FP32's median, else the first scheme's."""
    row = schemes.get("float32") or next(iter(schemes.values()))
    return float(row["median_ms"])


def _widest(data: FigureData) -> float:
    """Return the axis limit: every median and most samples, but not extreme outliers."""
    reach = [1.0]
    for schemes in data.facts["models"].values():
        for row in schemes.values():
            spread = min(row["p95_ms"], 2 * row["median_ms"])
            reach.append(spread / _unit(schemes))
    return max(reach)


def _note(row: dict[str, Any]) -> str:
    digits = 1 if row["median_ms"] >= 10 else 2
    text = f"{row['median_ms']:.{digits}f} ms"
    if row["ratio"] is not None and row["ratio"] != 1.0:
        text += f"  ×{row['ratio']:.2f} [{row['ratio_low']:.2f}, {row['ratio_high']:.2f}]"
    return text


def caption(data: FigureData) -> str:
    """State the result, with the figure's own numbers."""
    f = data.facts
    rows = [(m, s, r) for m, t in f["models"].items() for s, r in t.items()
            if r["ratio"] is not None and s != "float32"]
    fastest = min(rows, key=lambda x: x[2]["ratio"], default=None)
    said = ""
    if fastest is not None:
        model, label, row = fastest
        said = (f"The largest gain is {model} {style.scheme_name(label)}: "
                f"{row['median_ms']:.1f} ms, {row['ratio']:.2f} × FP32's time "
                f"(95% interval {row['ratio_low']:.2f} to {row['ratio_high']:.2f}). ")
    machine = f["machine"].get("processor", "this machine")
    threads = ", ".join(str(t) for t in f["threads"])
    return (f"{said}Median time per image on {machine}"
            f"{f', {threads} threads' if threads else ''} (the CPU part of the paper's Figure "
            "10), batch 1, FP32 being 1. The paper found dynamic range and full integer 3.8 times "
            "as fast on its Arm CPU, and no gain for half precision; the fastest scheme depends "
            "on the processor.")
