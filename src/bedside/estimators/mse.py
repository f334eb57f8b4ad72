"""Range estimator: least mean squared error of 8-bit quantization (Banner et al. 2019).

A narrower range makes the steps finer and clips more; the best one balances the two. The error
is that of every bin's centre, quantized and dequantized as LiteRT does (256 values, 0 exact).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bedside.estimators.histogram import Counts, Histogram, Values

STEPS = 255
_CANDIDATES = 33
_ROUNDS = 4


def squared_error(centres: Values, counts: Counts, lows: Values, highs: Values
                  ) -> npt.NDArray[np.float64]:
    """Return the mean squared error of each candidate range, (m,).

    Args:
        centres: values (n,).
        counts: how often each occurs (n,).
        lows: candidates' lower ends (m,), none above 0.
        highs: candidates' upper ends (m,), none below 0.
    """
    scale = np.maximum((highs - lows) / STEPS, 1e-30)[:, None]
    zero = np.rint(-lows[:, None] / scale)
    codes = np.clip(np.rint(centres / scale) + zero, 0, STEPS)
    error = (codes - zero) * scale - centres
    found: npt.NDArray[np.float64] = (error * error) @ counts / counts.sum()
    return found


class LeastSquares(Histogram):
    """A search over both ends of the range, coarse to fine."""

    def limits(self) -> tuple[float, float]:
        """Return the best range: it contains 0 and lies within the observed values."""
        edges, counts = self.used()
        centres = np.clip((edges[:-1] + edges[1:]) / 2, self.low, self.high)
        kept = counts > 0
        centres, counts = centres[kept], counts[kept]
        low, high = min(self.low, 0.0), max(self.high, 0.0)
        best, reach = (low, high), 1.0
        for _ in range(_ROUNDS):
            best = self._ends(centres, counts, best, (low, high), reach)
            reach /= 4.0
        return best

    @staticmethod
    def _ends(centres: Values, counts: Counts, best: tuple[float, float],
              limits: tuple[float, float], reach: float) -> tuple[float, float]:
        low, high = best
        for end in (1, 0, 1):
            full = limits[end]
            if full == 0.0:
                continue
            middle = (low, high)[end] / full
            shares = np.linspace(max(middle - reach, 0.005), min(middle + reach, 1.0), _CANDIDATES)
            # The present end stays a candidate, so no round makes it worse.
            tried = np.append(shares, middle) * full
            lows = np.full(tried.size, low) if end else tried
            highs = tried if end else np.full(tried.size, high)
            chosen = float(tried[squared_error(centres, counts, lows, highs).argmin()])
            low, high = (low, chosen) if end else (chosen, high)
        return low, high


def observer() -> LeastSquares:
    """Return a fresh observer."""
    return LeastSquares()
