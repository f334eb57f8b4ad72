"""Agreement of two models' decisions beyond chance, with an interval that counts patients."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bedside.core.types import Estimate
from bedside.metrics.design import Ints, precision
from bedside.metrics.stats import ALPHA, score_interval

ONE_CLASS = ("both models always decide for the same class, so agreement beyond chance is "
             "undefined")


def kappa(old: Ints, new: Ints, classes: int, clusters: Ints | None = None) -> Estimate:
    """Return Cohen's kappa of two models' decisions with its 95% interval.

    Source: Cohen 1960, Educ. Psychol. Meas. 20:37. The interval is Wilson's of the share of
    agreement at the observed agreement by chance, mapped to kappa. Its sample size is the one that
    gives kappa's own variance: linearised, which for independent images is that of Fleiss, Cohen
    and Everitt 1969, Psychol. Bull. 72:323, and summed by patient where they have several images
    (Vanbelle 2017, Psychometrika 82:399). So it holds near 1, where a normal interval fails.

    Args:
        old: (n,) the first model's classes, in [0, K).
        new: (n,) the second's.
        classes: K.
        clusters: (n,) cluster numbers, or None where every image is its own patient.
    """
    n = len(old)
    if n == 0:
        return Estimate(None, n=0, reason="no images")
    table = np.bincount(old * classes + new, minlength=classes * classes).reshape(
        classes, classes) / n
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    agreed, chance = float(np.trace(table)), float(rows @ columns)
    if chance >= 1 - 1e-12:
        return Estimate(None, n=n, reason=ONE_CLASS)
    value = (agreed - chance) / (1 - chance)
    influence = influences(old, new, rows, columns, value)
    size = precision(influence, clusters, 1.0)
    quantile = size.quantile(ALPHA)
    # Against n independent images, the sample's own variance of agreement.
    own = float(np.mean(np.square(influence)))
    ratio = agreed * (1 - agreed) / own if own > 0 else 1.0
    low, high = score_interval(agreed, max(size.size * ratio, 1.0), quantile)

    def mapped(share: float) -> float:
        return (share - chance) / (1 - chance)

    return Estimate(value, max(min(mapped(low), value), -1.0), max(mapped(high), value), n)


def influences(old: Ints, new: Ints, rows: npt.NDArray[np.float64],
               columns: npt.NDArray[np.float64], value: float) -> npt.NDArray[np.float64]:
    """Return the influence (n,) of each image on kappa, times 1 − agreement by chance; mean 0."""
    parts: npt.NDArray[np.float64] = (old == new) - (1 - value) * (columns[old] + rows[new])
    parts -= parts.mean()
    return parts
