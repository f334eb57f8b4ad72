"""Range estimator: percentiles, leaving out the rarest values at either end.

A single extreme value stretches the range for all others; leaving out 0.005% at each end
gives every other value finer steps. The share is that of ONNX Runtime's and TensorRT's
percentile calibration, 99.99% kept.
"""

from __future__ import annotations

from bedside.estimators.histogram import Histogram

PERCENT_KEPT = 99.99


class Percentile(Histogram):
    """Two quantiles of the streaming histogram."""

    def limits(self) -> tuple[float, float]:
        """Return the quantiles at either end."""
        cut = (1.0 - PERCENT_KEPT / 100.0) / 2.0
        return self.quantile(cut), self.quantile(1.0 - cut)


def observer() -> Percentile:
    """Return a fresh observer."""
    return Percentile()
