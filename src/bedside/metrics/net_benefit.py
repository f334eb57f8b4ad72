"""Net benefit of two models on the same images: decision curves with a paired interval.

Source: Vickers and Elkin 2006, Med. Decis. Making 26:565; bootstrap intervals after Vickers et al.
2008, BMC Med. Inform. Decis. Mak. 8:53. The unit is true positives for each image: a false
positive costs t / (1 − t) of one, t being the probability from which on an intervention is worth
it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bedside.metrics import design
from bedside.metrics.bootstrap import draw
from bedside.metrics.paired import tango_interval

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

METHOD = "bootstrap over patients"
FEW = f"{METHOD}, and Tango's intervals where so few decide differently"
# With fewer patients whose decision differs a bootstrap alone is too narrow, and empty with none.
_FEW = 10
_CHUNK = 200


@dataclass(frozen=True, slots=True)
class Benefit:
    """Net benefit at each of t threshold probabilities, (t,) each; ``difference`` is new − old.

    ``few`` (t,) says where Tango's intervals widened the bootstrap's.
    """

    old: Floats
    new: Floats
    treat_all: Floats
    difference: Floats
    low: Floats
    high: Floats
    few: Bools


def net_benefit(truth: Bools, called: Bools, threshold: Floats, prevalence: float | None = None
                ) -> Floats:
    """Return the net benefit (t,) of decisions.

    Args:
        truth: (n,) whether positive, with both kinds.
        called: (t, n) whether called positive at each threshold probability.
        threshold: (t,) in (0, 1).
        prevalence: the share of positives to assume; that of ``truth`` where it is None.
    """
    share = float(truth.mean()) if prevalence is None else prevalence
    cost = threshold / (1 - threshold)
    value: Floats = (share * called[:, truth].mean(axis=1)
                     - (1 - share) * cost * called[:, ~truth].mean(axis=1))
    return value


def compare(truth: Bools, old: Bools, new: Bools, threshold: Floats, *, resamples: int, seed: int,
            prevalence: float | None = None, clusters: Ints | None = None) -> Benefit:
    """Return both models' net benefit and the difference with its pointwise 95% interval.

    The interval is the percentile bootstrap over patients, which draws both models together. Where
    fewer than ten patients are decided differently, it is widened to that of Tango's intervals of
    the two differences, of sensitivity and of specificity, added as independent (MOVER, Zou and
    Donner 2008, Stat. Med. 27:1693): where nothing differs a bootstrap does not vary, which proves
    nothing.

    Args:
        truth: (n,) whether positive, with both kinds.
        old: (t, n) decisions of the reference at each threshold probability.
        new: (t, n) the same of the new model.
        threshold: (t,) in (0, 1).
        resamples: how many.
        seed: of the draw.
        prevalence: as for :func:`net_benefit`.
        clusters: (n,) patients' numbers, or None where every image is its own.
    """
    before, after = (net_benefit(truth, c, threshold, prevalence) for c in (old, new))
    every = np.ones_like(old)
    whose = np.arange(len(truth)) if clusters is None else np.unique(
        clusters, return_inverse=True)[1].reshape(-1)
    low, high = _drawn(truth, old, new, threshold, prevalence, whose, resamples, seed)
    changed = _summed((new != old).astype(np.float64), whose) > 0
    few: Bools = changed.sum(axis=1) < _FEW
    difference = after - before
    for k in np.flatnonzero(few):
        bounds = _tango(truth, old[k], new[k], float(threshold[k]), prevalence, whose)
        low[k], high[k] = min(low[k], bounds[0]), max(high[k], bounds[1])
    return Benefit(before, after, net_benefit(truth, every, threshold, prevalence), difference,
                   np.minimum(low, difference), np.maximum(high, difference), few)


def _summed(values: Floats, whose: Ints) -> Floats:
    """Sum (t, n) by patient, (t, patients)."""
    sums = np.zeros((int(whose.max()) + 1, len(values)))
    np.add.at(sums, whose, values.T)
    return sums.T


def _drawn(truth: Bools, old: Bools, new: Bools, threshold: Floats, prevalence: float | None,
           whose: Ints, resamples: int, seed: int) -> tuple[Floats, Floats]:
    moved = new.astype(np.float64) - old
    on, off = _summed(moved * truth, whose), _summed(moved * ~truth, whose)
    counts = _summed(np.stack([truth, ~truth]).astype(np.float64), whose)
    cost = threshold / (1 - threshold)
    rng = np.random.default_rng(seed)
    parts = []
    for start in range(0, resamples, _CHUNK):
        weights = draw(rng, counts.shape[1], min(_CHUNK, resamples - start)).astype(np.float64)
        n1, n0 = (weights @ counts.T).T
        whole = (n1 > 0) & (n0 > 0)
        weights, n1, n0 = weights[whole], n1[whole, None], n0[whole, None]
        share = n1 / (n1 + n0) if prevalence is None else prevalence
        parts.append(share * (weights @ on.T) / n1 - (1 - share) * cost * (weights @ off.T) / n0)
    low, high = np.percentile(np.concatenate(parts), [2.5, 97.5], axis=0)
    return low, high


def _tango(truth: Bools, old: Bools, new: Bools, threshold: float, prevalence: float | None,
           whose: Ints) -> tuple[float, float]:
    share = float(truth.mean()) if prevalence is None else prevalence
    cost = threshold / (1 - threshold)
    value, down, up = 0.0, 0.0, 0.0
    for side, weight, wanted in ((truth, share, True), (~truth, (1 - share) * cost, False)):
        right = [c[side] == wanted for c in (old, new)]
        n, cases = int(side.sum()), design.effective(whose[side])
        gained, lost = (int((a & ~b).sum()) * cases / n for a, b in (right[::-1], right))
        low, high = tango_interval(gained, lost, cases)
        own = (gained - lost) / cases
        value += weight * own
        down += (weight * (own - low)) ** 2
        up += (weight * (high - own)) ** 2
    return value - math.sqrt(down), value + math.sqrt(up)
