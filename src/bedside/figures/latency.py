"""Figure 10, its CPU part: milliseconds an image, each model's float32 on the CPU being 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bedside.core.build import Measurement
from bedside.figures import inputs
from bedside.figures.base import FigureData, NotAvailable
from bedside.runfolder import latency, layout

RESAMPLES = 2000
# Section 8.3: VGG16 on the Snapdragon 865, the original on its CPU being 1.
PAPER_CPU = {"float32": 1.0, "dynamic": 1 / 3.8, "int8": 1 / 3.8, "float16": 1.0}
PAPER = {"network": "vgg16", "device": "Snapdragon 865", "cpu": PAPER_CPU,
         "gpu": {"float32": 0.92, "float16": 0.91}, "npu": {"int8": 1 / 33}}


def compute(run: Path, model: str) -> FigureData:
    """Arrays: ``ms:<model>:<scheme>`` and ``round:<model>:<scheme>`` (n,), the raw samples.

    Facts: ``models``, by model and scheme: median, 5th and 95th percentile in ms, and where
    the original was measured the ratio of medians with its 95% interval (bootstrap over
    rounds and samples, seeded).

    Raises:
        NotAvailable: no latency was measured on a CPU.
    """
    del model
    arrays: dict[str, npt.NDArray[Any]] = {}
    table: dict[str, dict[str, Any]] = {}
    machine: dict[str, str] = {}
    threads = set()
    for name in sorted({v.model for v in layout.variants(run)}):
        samples = {}
        for label, variant in inputs.variants_of(run, name).items():
            cell = inputs.cpu_cell(run, variant.id)
            if cell is None or cell.evidence.get("latency") != "measured":
                continue
            raw = latency.read(_path(run, cell))
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


def _path(run: Path, cell: Measurement) -> Path:
    return layout.measurement_dir(run, cell.variant, cell.target) / layout.LATENCY


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
    """95% percentile interval of the ratio of medians, other to base.

    Bootstrap in two steps, rounds and then samples within them (Davison and Hinkley 1997,
    Section 3.8): samples of one round share the machine's mood. Variants are interleaved, so
    both sides draw the same rounds where they have the same.
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
