"""Effective sample size for clustered data.

Images of one patient tend to be right or wrong together, so an interval over images is too narrow.
Everything here takes cluster numbers (n,) (:func:`clusters_of`). An estimate takes them or None,
where every image is its own patient: then its interval is Wilson's or DeLong's, unchanged. The
reasons for these rather than a bootstrap: ``docs/decisions/0003-intervals.md``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


def clusters_of(groups: npt.ArrayLike) -> Ints | None:
    """Return the cluster number of every image, (n,), or None where every image is its own."""
    _, numbers = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)
    numbers = numbers.reshape(-1).astype(np.int64)
    return None if len(numbers) == 0 or numbers.max() + 1 == len(numbers) else numbers


def of(clusters: Ints | None, chosen: Bools) -> Ints | None:
    """Select the cluster numbers of some of the images; None stays None."""
    return None if clusters is None else clusters[chosen]


def effective(clusters: Ints) -> int:
    """Return the effective number of equal-sized patients, (Σm)² / Σm² (Kish 1965, Section 8.2).

    A patient with half of the images is no half of the patients.

    Args:
        clusters: (n,) cluster number of every image.
    """
    sizes = np.unique(clusters, return_counts=True)[1].astype(np.float64)
    return int(sizes.sum() ** 2 / np.square(sizes).sum() + 1e-9) if len(sizes) else 0


def scatter(residuals: npt.NDArray[np.floating], clusters: Ints) -> float:
    """Return the variance of the sum of residuals (n,) with mean 0, sampled by patient.

    The linearised variance of a ratio (Cochran 1977, Section 6.3); 0 for one patient.
    """
    sums = by_patient(residuals, clusters)
    return float(np.square(sums).sum() * _bessel(len(sums)))


def widening(clusters: Ints) -> float:
    """Return the factor for few patients: t² of patients over t² of images.

    Source: Korn and Graubard 1998, Surv. Methodol. 24:193.
    """
    patients = len(np.unique(clusters))
    if patients < 2:
        return 1.0
    apart = student.ppf(0.975, patients - 1) / student.ppf(0.975, len(clusters) - 1)
    return float(apart**2)


def auc_variance(positive: Bools, influence: Floats, clusters: Ints) -> float | None:
    """Return the variance of an AUC of clustered images; None with one patient in a class.

    Source: Obuchowski 1997, Biometrics 53:567, widened as :func:`widening` says.

    Args:
        positive: (n,).
        influence: (n,) of every image on the AUC (:func:`bedside.metrics.stats.auc_influence`).
        clusters: (n,) cluster numbers.
    """
    sides = (positive, ~positive)
    counts = [len(np.unique(clusters[side])) for side in sides]
    if min(counts) < 2:
        return None
    on, off = (by_patient(np.where(s, influence, 0.0), clusters) for s in sides)
    together = (float(np.square(on).sum()) * _bessel(counts[0])
                + float(np.square(off).sum()) * _bessel(counts[1])
                + 2 * float(on @ off) * _bessel(len(on)))
    rarer = min(sides, key=lambda side: effective(clusters[side]))
    # Both sides of a patient may cancel, up to rounding.
    return max(together, 0.0) * widening(clusters[rarer])


def by_patient(values: npt.NDArray[np.floating], clusters: Ints) -> Floats:
    """Sum values (n,) by patient, (patients,), in the order of the cluster numbers."""
    _, numbers = np.unique(clusters, return_inverse=True)
    return np.bincount(numbers.reshape(-1), weights=values).astype(np.float64)


def _bessel(count: int) -> float:
    return count / (count - 1) if count > 1 else 0.0
