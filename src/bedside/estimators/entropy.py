"""Range estimator: least Kullback-Leibler divergence of the quantized distribution.

Migacz, *8-bit inference with TensorRT* (GTC 2017): for windows of growing size, values outside
are put into the window's outermost bins, the histogram is reduced to the quantizer's levels and
spread out again over the bins that were in use, and the window with the smallest
Kullback-Leibler divergence wins. Where values lie on both sides of 0 the window grows in
proportion to the extremes.
"""

from __future__ import annotations

import numpy as np

from bedside.estimators.histogram import Counts, Histogram, Values

LEVELS = 256
_WINDOWS = 96
_FEWEST_BINS = 2 * LEVELS


def divergence(reference: Values, quantized: Values) -> float:
    """Return the Kullback-Leibler divergence (nats) of two histograms of one size, normalised.

    Infinite where the second has no mass and the first has.
    """
    p, q = reference / reference.sum(), quantized / quantized.sum()
    held = p > 0
    if (q[held] <= 0).any():
        return float("inf")
    return float(np.sum(p[held] * np.log(p[held] / q[held])))


def window_divergence(counts: Counts, start: int, stop: int) -> float:
    """Return the divergence where only bins ``start`` to ``stop`` (exclusive) are represented."""
    inside = counts[start:stop].astype(np.float64)
    if not inside.sum():
        return float("inf")
    reference = inside.copy()
    reference[0] += counts[:start].sum()
    reference[-1] += counts[stop:].sum()
    # The quantizer keeps only values inside; clipped ones raise the reference's end bins.
    bounds = (np.arange(LEVELS) * inside.size) // LEVELS
    totals = np.add.reduceat(inside, bounds)
    occupied = np.add.reduceat((reference > 0).astype(np.float64), bounds)
    level = np.searchsorted(bounds, np.arange(inside.size), side="right") - 1
    share = np.divide(totals, occupied, out=np.zeros_like(totals), where=occupied > 0)
    spread = np.where(reference > 0, np.maximum(share[level], 1e-9), 0.0)
    return divergence(reference, spread)


class LeastDivergence(Histogram):
    """A search over windows around 0."""

    def limits(self) -> tuple[float, float]:
        """Return the best window within the observed values."""
        edges, counts = self.used()
        low, high = min(self.low, 0.0), max(self.high, 0.0)
        if counts.size <= _FEWEST_BINS:  # too few bins to reduce
            return self.low, self.high
        smallest = max(_FEWEST_BINS / counts.size, 0.02)
        best, found = (low, high), float("inf")
        for share in np.linspace(1.0, smallest, _WINDOWS):
            start = max(int(np.floor((share * low - edges[0]) / self.width)), 0)
            stop = min(int(np.ceil((share * high - edges[0]) / self.width)), counts.size)
            if stop - start < _FEWEST_BINS:
                continue
            value = window_divergence(counts, start, stop)
            if value < found:
                best, found = (share * low, share * high), value
        return float(max(best[0], self.low)), float(min(best[1], self.high))


def observer() -> LeastDivergence:
    """Return a fresh observer."""
    return LeastDivergence()
