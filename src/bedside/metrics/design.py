"""Effective sample size for clustered data.

Images of one patient tend to be right or wrong together, so an interval over images is too narrow.
Everything here takes cluster numbers (n,) (:func:`clusters_of`). An estimate takes them or None,
where every image is its own patient: then its interval is Wilson's or DeLong's, unchanged. The
reasons for these rather than a bootstrap: ``docs/decisions/0003-intervals.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri, stdtr, stdtrit
from scipy.stats import t as student

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

# Patients that are added to an estimated design effect, of average size and all images alike.
PRIOR = 0.35


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
    return float(np.square(sums).sum() * bessel(len(sums)))


def widening(clusters: Ints) -> float:
    """Return the factor for few patients: t² of patients over t² of images.

    Source: Korn and Graubard 1998, Surv. Methodol. 24:193.
    """
    patients = len(np.unique(clusters))
    if patients < 2:
        return 1.0
    apart = student.ppf(0.975, patients - 1) / student.ppf(0.975, len(clusters) - 1)
    return float(apart**2)


@dataclass(frozen=True, slots=True)
class Precision:
    """What clustered images say about a mean: as much as ``size`` independent images would.

    ``df`` are the degrees of freedom of the design effect behind it, by which a quantile of
    Student's t takes the place of the normal one; infinite where nothing was estimated.
    """

    size: float
    df: float = math.inf

    def quantile(self, alpha: float) -> float:
        """Return the two-sided quantile that leaves ``alpha`` outside."""
        return float(-ndtri(alpha / 2) if math.isinf(self.df) else -stdtrit(self.df, alpha / 2))

    def tail(self, z: float) -> float:
        """Return P(at least ``z``) of the statistic."""
        return float(ndtr(-z) if math.isinf(self.df) or math.isinf(z) else stdtr(self.df, -z))


def precision(residuals: npt.NDArray[np.floating], clusters: Ints | None, rare: float) -> Precision:
    """Return the effective sample size of the mean of n images (1 patient or more).

    The design effect is the variance of the mean over patients against that of independent images.
    Over patients: the linearised variance with each patient's residual scaled by its leverage
    (CR2: Bell and McCaffrey 2002, Surv. Methodol. 28:169), so that a patient with many images does
    not hide by pulling the mean to itself. Both variances count one patient more, of average size
    and with every image of the rarer kind: where few images are of that kind, little tells how far
    images of one patient go together, and without any the size becomes Kish's number of patients.
    The degrees of freedom are Satterthwaite's under the correlation that the effect implies.

    Args:
        residuals: (n,), image minus mean.
        clusters: (n,) cluster numbers, or None where every image is its own patient.
        rare: squared residual of an image of the rarer kind.
    """
    n = len(residuals)
    if clusters is None:
        return Precision(float(n))
    sizes = by_patient(np.ones(n), clusters)
    patients = len(sizes)
    if patients in (1, n):
        return Precision(float(patients))
    most = float(np.square(sizes).sum()) / n
    between = float((np.square(by_patient(residuals, clusters)) / (1 - sizes / n)).sum())
    within = float(np.square(residuals).sum()) * bessel(n)
    more = PRIOR * rare * n / patients
    if between + more * most == 0:
        return Precision(n / most)
    effect = max((between + more * most) / (within + more), 1.0)
    alike = min((effect - 1) / (most - 1), 1.0)
    # What was estimated is the part above 1 that the added patient does not make up.
    varies = (effect - 1) / effect * between / (between + more * most)
    df = satterthwaite(sizes, alike) / varies**2 if varies > 0 else math.inf
    return Precision(max(n / effect, 1.0), df)


def satterthwaite(sizes: Floats, alike: float) -> float:
    """Return the degrees of freedom of the CR2 variance of a mean of clustered images.

    2 E² / variance of the quadratic form, for patients' sums with variances m(1 + (m − 1)ρ) (Bell
    and McCaffrey 2002, Section 4). Patients of equal size give their number minus one.

    Args:
        sizes: (patients,) images of each, two patients or more.
        alike: ρ, the correlation of a patient's images, in [0, 1].
    """
    share = sizes / sizes.sum()
    weight = 1 / (1 - share)  # of each squared residual
    spread = sizes * (1 + (sizes - 1) * alike)
    # The form's matrix is D − u wᵀ − w uᵀ + c u uᵀ with D diagonal.
    diagonal, u, w = weight * spread, np.sqrt(weight) * share, np.sqrt(weight) * spread
    c = float(spread.sum())
    uu, uw, ww = float(u @ u), float(u @ w), float(w @ w)
    trace = float(diagonal.sum()) - 2 * uw + c * uu
    square = (float(diagonal @ diagonal) + 2 * (uu * ww + uw * uw) + c * c * uu * uu
              - 4 * float((diagonal * u) @ w) + 2 * c * float((diagonal * u) @ u)
              - 4 * c * uu * uw)
    return trace * trace / square


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
    together = (float(np.square(on).sum()) * bessel(counts[0])
                + float(np.square(off).sum()) * bessel(counts[1])
                + 2 * float(on @ off) * bessel(len(on)))
    rarer = min(sides, key=lambda side: effective(clusters[side]))
    # Both sides of a patient may cancel, up to rounding.
    return max(together, 0.0) * widening(clusters[rarer])


def by_patient(values: npt.NDArray[np.floating], clusters: Ints) -> Floats:
    """Sum values (n,) by patient, (patients,), in the order of the cluster numbers."""
    _, numbers = np.unique(clusters, return_inverse=True)
    return np.bincount(numbers.reshape(-1), weights=values).astype(np.float64)


def bessel(count: int) -> float:
    """Return n / (n − 1), 0 for one."""
    return count / (count - 1) if count > 1 else 0.0
