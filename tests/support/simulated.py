"""Simulated studies of known truth: patients, decisions of two models, scores.

What the figures ``interval_coverage`` and ``planned_power`` draw from. Latent values are normal,
with a share of their variance (``agreement``) in common to a patient's images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm

Array = np.ndarray[Any, Any]

# Images per patient by name; "one of 30" is a patient who holds a large share of the images.
KINDS = ("1", "3", "5", "1 to 8", "2, one of 30")


def patients(kind: str, count: int, rng: np.random.Generator) -> Array:
    """Return the patient of every image, (n,)."""
    if kind == "1 to 8":
        sizes = rng.integers(1, 9, count)
    elif kind == "2, one of 30":
        sizes = np.r_[30, np.full(count - 1, 2)]
    else:
        sizes = np.full(count, int(kind))
    return np.repeat(np.arange(count), sizes)


def latent(whose: Array, agreement: float, rng: np.random.Generator) -> Array:
    """Return standard normal values (n,) with correlation ``agreement`` within a patient."""
    common = rng.normal(size=int(whose.max()) + 1)[whose]
    own = rng.normal(size=len(whose))
    return np.asarray(np.sqrt(agreement) * common + np.sqrt(1 - agreement) * own)


@dataclass(frozen=True)
class Decisions:
    """Two models on the same images: ``lost`` are right before only, ``gained`` after only."""

    lost: float
    gained: float
    right: float = 0.9

    def draw(self, whose: Array, agreement: float, rng: np.random.Generator
             ) -> tuple[Array, Array]:
        """Return whether the old and the new model are right, (n,) each."""
        change = latent(whose, agreement, rng)
        old = latent(whose, agreement, rng) < norm.ppf(self.right)
        lost = change < norm.ppf(self.lost)
        gained = change > norm.isf(self.gained)
        return (old | lost) & ~gained, (old & ~lost) | gained


@dataclass(frozen=True)
class Scores:
    """Two binormal models of AUC ``old`` and ``new``, whose scores of an image correlate.

    A share ``missed`` of the positives falls below every negative in the new model alone, as where
    one kind of lesion is lost: then the new AUC is (1 − missed) · ``new``.
    """

    old: float
    new: float
    correlation: float
    missed: float = 0.0

    @property
    def difference(self) -> float:
        """Return the true difference, new minus old."""
        return (1 - self.missed) * self.new - self.old

    def draw(self, positive: Array, whose: Array, agreement: float, rng: np.random.Generator
             ) -> tuple[Array, Array]:
        """Return the scores of both models, (n,) each."""
        common = np.sqrt(self.correlation) * latent(whose, agreement, rng)
        own = np.sqrt(1 - self.correlation)
        old, new = (common + own * latent(whose, agreement, rng) + positive * np.sqrt(2)
                    * norm.ppf(area) for area in (self.old, self.new))
        gone = latent(whose, agreement, rng) < norm.ppf(self.missed)
        return old, np.where(positive & gone, -100.0, new)
