"""Decision curves: net benefit of every variant beside float32, and the paired difference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from scipy.special import expit

from bedside.core.build import Measurement
from bedside.core.evidence import OperatingPoint
from bedside.core.text import number, percent, plural, signed
from bedside.figures import inputs, style
from bedside.figures.base import FigureData, NotAvailable, Reads
from bedside.metrics import net_benefit
from bedside.metrics.design import clusters_of
from bedside.metrics.inputs import log_odds
from bedside.metrics.quality import probability_threshold
from bedside.runfolder import artefact, layout, stored

TITLE = "Is the variant worth as much as float32 to those who act on it?"
READS = Reads(evidence=True, settings=True)

# Threshold probabilities from 1% to 99%; the axis ends where treating all stops being an option.
THRESHOLDS = np.arange(1, 100) / 100
_PER_ROW = 3

Floats = npt.NDArray[np.float64]


def compute(run: Path, model: str) -> FigureData:
    """Compute net benefit on the test images at every threshold probability, paired.

    Probabilities are those that ship (the reference's temperature). One target's, this CPU's.

    Arrays: ``thresholds``, ``treat_all`` and ``net:<scheme>`` (t,), and for every variant
    ``difference:<scheme>``, ``low:<scheme>``, ``high:<scheme>`` (t,), new minus float32. Facts:
    ``n``, ``positives``, ``prevalence``, ``assumed`` (whether it was stated in study.toml),
    ``locked`` (the threshold probability that ships, or null), ``at_locked`` (by scheme, the
    difference there), ``resamples``.

    Raises:
        NotAvailable: no positive class, no evidence, no predictions of float32, one class only.
    """
    if not artefact.finished(layout.evidence_dir(run, model), "evidence"):
        raise NotAvailable("the paired tests have not been computed (bedside report RUN does it)")
    positive = inputs.positive_index(stored.task(run))
    if positive is None:
        raise NotAvailable("net benefit needs a positive class")
    rows = inputs.predictions_by_scheme(run, model)
    base = rows[inputs.ORIGINAL]
    truth = base.labels == positive
    if truth.all() or not truth.any():
        raise NotAvailable("net benefit needs test images of both classes")
    points = stored.operating_points(run, model)
    shipped = points.locked or _own(run, model, points.cells)
    if shipped is None:
        raise NotAvailable("no operating point has been chosen")
    config = stored.study(run).evidence
    t = 1.0 if shipped.temperature is None else shipped.temperature
    groups = {c.id: c.group or c.id for c in stored.cases(run)}
    whose = clusters_of([groups.get(str(i), str(i)) for i in base.ids])
    locked = probability_threshold(shipped)
    # The locked threshold last, so that its number and its curve are one computation.
    every = THRESHOLDS if locked is None else np.r_[THRESHOLDS, locked]

    def called(logits: Floats) -> npt.NDArray[np.bool_]:
        odds = log_odds(logits, positive)
        found: npt.NDArray[np.bool_] = expit(odds / t)[None, :] >= every[:, None]
        if locked is not None:
            # As the rule is stored: a probability's last digit must not decide.
            found[-1] = odds >= (shipped.threshold_log_odds or 0.0)
        return found

    old = called(base.logits)
    last = len(THRESHOLDS)
    arrays: dict[str, npt.NDArray[Any]] = {"thresholds": THRESHOLDS}
    at_locked: dict[str, Any] = {}
    for label, own in rows.items():
        found = net_benefit.compare(truth, old, called(own.logits), every,
                                    resamples=config.resamples, seed=config.seed,
                                    prevalence=config.prevalence, clusters=whose)
        arrays["treat_all"] = found.treat_all[:last]
        arrays[f"net:{label}"] = found.new[:last]
        if label == inputs.ORIGINAL:
            continue
        for name in ("difference", "low", "high"):
            arrays[f"{name}:{label}"] = getattr(found, name)[:last]
        if locked is not None:
            at_locked[label] = {name: float(getattr(found, name)[last])
                                for name in ("difference", "low", "high")}
    return FigureData(arrays, {
        "model": model, "n": len(truth), "positives": int(truth.sum()),
        "patients": None if whose is None else int(whose.max()) + 1,
        "prevalence": float(truth.mean()) if config.prevalence is None else config.prevalence,
        "assumed": config.prevalence is not None, "locked": locked, "at_locked": at_locked,
        "schemes": list(rows), "resamples": config.resamples})


def _own(run: Path, model: str, cells: dict[str, OperatingPoint]) -> OperatingPoint | None:
    """Return float32's own point, where none is locked for all."""
    variant = inputs.variants_of(run, model)[inputs.ORIGINAL]
    base: Measurement | None = inputs.cpu_cell(run, variant.id)
    return None if base is None else cells.get(layout.cell_name(base.variant, base.target))


# ------------------------------------------------------------------ drawing


def draw(data: FigureData) -> Figure:
    """Draw all curves, and below them each variant's difference with its pointwise band."""
    f, arrays = data.facts, data.arrays
    variants = [s for s in f["schemes"] if s != inputs.ORIGINAL]
    rows = -(-len(variants) // _PER_ROW)
    figure = style.new_figure(3.3 + 2.0 * rows)
    grid = figure.add_gridspec(1 + rows, _PER_ROW, height_ratios=[1.5, *([1.0] * rows)])
    axes = figure.add_subplot(grid[0, :])
    x, prevalence = arrays["thresholds"], f["prevalence"]
    end = _end(data)
    seen = x <= end
    axes.plot(x[seen], 100 * arrays["treat_all"][seen], ":", color=style.QUIET, label="call all")
    axes.axhline(0, color=style.QUIET, lw=0.9, label="call none")
    for label in f["schemes"]:
        axes.plot(x[seen], 100 * arrays[f"net:{label}"][seen],
                  color=style.scheme_colour(label), label=style.short_name(label))
    axes.set_ylim(-12 * prevalence, 108 * prevalence)
    axes.set_ylabel("net benefit per 100 images")
    axes.legend(loc="lower left", ncols=2)
    _finish(axes, f["locked"], end)
    limit = _limit(data, seen)
    for k, label in enumerate(variants):
        own = figure.add_subplot(grid[1 + k // _PER_ROW, k % _PER_ROW])
        own.axhline(0, color=style.QUIET, lw=0.9)
        colour = style.scheme_colour(label)
        own.fill_between(x[seen], 100 * arrays[f"low:{label}"][seen],
                         100 * arrays[f"high:{label}"][seen], color=colour, alpha=0.2, lw=0)
        own.plot(x[seen], 100 * arrays[f"difference:{label}"][seen], color=colour)
        own.set_title(f"{style.short_name(label)} − FP32")
        own.set_ylim(-limit, limit)
        _finish(own, f["locked"], end)
    figure.supxlabel("threshold probability", fontsize=8.5)
    return figure


def _end(data: FigureData) -> float:
    """Return where the axis ends: past the locked threshold and where calling all is worthless."""
    f = data.facts
    return float(min(max(0.5, 1.5 * f["prevalence"], (f["locked"] or 0.0) + 0.1), 0.99))


def _limit(data: FigureData, seen: npt.NDArray[np.bool_]) -> float:
    ends = [np.abs(v[seen]).max() for k, v in data.arrays.items()
            if k.partition(":")[0] in ("low", "high")]
    return 105 * float(max([1e-3, *ends]))


def _finish(axes: Any, locked: float | None, end: float) -> None:
    if locked is not None:
        axes.axvline(locked, color=style.MARK, lw=0.9)
    axes.set_xlim(0, end)
    style.grid(axes, "both")


def caption(data: FigureData) -> str:
    """State the result at the locked threshold, with the figure's own numbers."""
    f = data.facts
    said = []
    for label, d in f["at_locked"].items():
        low, value, high = (signed(f"{100 * d[k]:+.2f}") for k in ("low", "difference", "high"))
        said.append(f"{style.short_name(label)} {value} [{low}, {high}]")
    where = ""
    if f["locked"] is not None:
        cost = f["locked"] / (1 - f["locked"])
        where = (f" The red line is the locked threshold, {number(f['locked'], 3)}, at which a "
                 f"false alarm costs {number(cost, 2)} of a missed positive")
        where += (f"; there, net benefit per 100 images against FP32 is {', '.join(said)}."
                  if said else ".")
    stated = "stated in study.toml" if f["assumed"] else "of these images"
    patients = f" of {plural(f['patients'], 'patient')}" if f["patients"] else ""
    return (f"Net benefit of {f['model']} on {plural(f['n'], 'test image')}{patients}, at a "
            f"prevalence of {percent(f['prevalence'])} ({stated}): true positives less false "
            "positives, each weighed by the odds of the threshold probability (Vickers and Elkin "
            f"2006).{where} Bands are pointwise 95% intervals of the paired difference, by "
            f"{plural(f['resamples'], 'resample')} of patients.")
