"""Logistic regression with an offset: estimates, likelihoods, and the variance over patients.

Small and dense on purpose: two to four coefficients, fitted by Newton's method, so that profile
likelihoods can be followed to their ends. statsmodels is the oracle of its tests.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from bedside.metrics import design

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_STEPS = 60
_TOLERANCE = 1e-9
# An information below it says nothing: a standard error of a thousand log-odds.
_NOTHING = 1e-6
_SINGULAR = 1e10
# Patients up to which the jackknife fits anew.
_REFIT = 200


@dataclass(frozen=True, slots=True)
class Fit:
    """Coefficients (k,), information (k, k) and log-likelihood at the maximum."""

    beta: Floats
    information: Floats
    log_likelihood: float


def log_likelihood(y: Floats, eta: Floats) -> float:
    """Return the Bernoulli log-likelihood of outcomes (n,) with log-odds ``eta`` (n,)."""
    return float(y @ eta - np.logaddexp(0.0, eta).sum())


def information(x: Floats, eta: Floats) -> Floats:
    """Return Fisher's information (k, k) of columns (n, k) at log-odds ``eta`` (n,)."""
    p = expit(eta)
    found: Floats = (x * (p * (1 - p))[:, None]).T @ x
    return found


def fit(x: Floats, y: Floats, offset: Floats) -> Fit | None:
    """Return the maximum-likelihood fit, or None where none exists or the columns are collinear.

    Newton's method with halved steps; the log-likelihood is concave.

    Args:
        x: (n, k) columns.
        y: (n,) of 0 and 1.
        offset: (n,) log-odds that are taken as they are.
    """
    beta = np.zeros(x.shape[1])
    eta = offset.copy()
    value = log_likelihood(y, eta)
    for _ in range(_STEPS):
        known = information(x, eta)
        try:
            step = np.linalg.solve(known, x.T @ (y - expit(eta)))
        except np.linalg.LinAlgError:
            return None
        if not np.isfinite(step).all():
            return None
        for _ in range(40):
            moved = offset + x @ (beta + step)
            after = log_likelihood(y, moved)
            if after >= value - 1e-12 * (1 + abs(value)):
                break
            step = step / 2
        beta, eta, value = beta + step, moved, after
        if np.abs(step).max() <= _TOLERANCE * (1 + np.abs(beta).max()):
            known = information(x, eta)
            # Separated data drift without end, with an information that vanishes.
            usable = np.linalg.eigvalsh(known)[0] > _NOTHING and np.linalg.cond(known) < 1e12
            return Fit(beta, known, value) if usable else None
    return None


def covariance(found: Fit, x: Floats, y: Floats, offset: Floats, clusters: Ints | None) -> Floats:
    """Return the covariance (k, k) of a fit: the inverse information, or that over patients.

    Over patients it is the jackknife that leaves one patient out (Efron and Tibshirani 1993, An
    Introduction to the Bootstrap, Section 11.5). Up to 200 patients every fit is made again; with
    more it is one Newton step (Bell and McCaffrey 2002, Surv. Methodol. 28:169), which is then as
    good and falls short with few.

    Args:
        found: of the same data.
        x: (n, k).
        y: (n,).
        offset: (n,).
        clusters: (n,) patients' numbers, or None where every image is its own.
    """
    inverse = np.asarray(np.linalg.inv(found.information), np.float64)
    if clusters is None:
        return inverse
    eta = offset + x @ found.beta
    p = expit(eta)
    scores = x * (y - p)[:, None]
    weighted = np.einsum("ij,ik->ijk", x * (p * (1 - p))[:, None], x)
    _, numbers = np.unique(clusters, return_inverse=True)
    numbers = numbers.reshape(-1)
    patients, k = int(numbers.max()) + 1, x.shape[1]
    own = np.zeros((patients, k))
    held = np.zeros((patients, k, k))
    np.add.at(own, numbers, scores)
    np.add.at(held, numbers, weighted)
    left = found.information[None] - held
    # Where one patient carries a coefficient alone, leaving it out leaves no estimate.
    usable = np.linalg.cond(left) < _SINGULAR
    moved = np.zeros((patients, k))
    moved[usable] = np.linalg.solve(left[usable], own[usable][..., None])[..., 0]
    moved[~usable] = own[~usable] @ inverse
    if patients <= _REFIT:
        again = _without(x, y, offset, numbers, found.beta - moved)
        known = np.isfinite(again).all(axis=1) & usable
        moved[known] = found.beta - again[known]
        moved = moved - moved.mean(axis=0)
    return np.asarray((patients - 1) / patients * moved.T @ moved, np.float64)


def _without(x: Floats, y: Floats, offset: Floats, numbers: Ints, start: Floats) -> Floats:
    """Return the fits (patients, k) without each patient, NaN where Newton's steps do not end."""
    kept = (np.arange(len(start))[:, None] != numbers).astype(np.float64)
    beta, step = start.copy(), np.zeros_like(start)
    pairs = np.einsum("ni,nj->nij", x, x).reshape(len(x), -1)
    usable = np.ones(len(start), bool)
    for _ in range(6):
        p = expit(offset + beta @ x.T)
        known = ((kept * p * (1 - p)) @ pairs).reshape(len(start), x.shape[1], x.shape[1])
        usable &= np.linalg.cond(known) < _SINGULAR
        gradient = (kept * (y - p)) @ x
        step[usable] = np.linalg.solve(known[usable], gradient[usable][..., None])[..., 0]
        beta[usable] += step[usable]
    ended = usable & (np.abs(step).max(axis=1) < 1e-4 * (1 + np.abs(beta).max(axis=1)))
    beta[~ended] = np.nan
    return beta


def patients_of(clusters: Ints | None, n: int) -> int:
    """Return the number of independent cases: patients of like size, or images."""
    return n if clusters is None else design.effective(clusters)
