"""Paired answers within every group of a column: what was lost and whether others lost as much.

A variant may keep the average and lose the small lesions. Each group has few cases, so every answer
comes with the loss that it could have found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.stats import binom

from bedside.core.statistics import Stratum
from bedside.metrics import paired
from bedside.metrics.design import Bools, Ints, of
from bedside.metrics.power import POWER
from bedside.metrics.subgroups import SMALLEST, UNKNOWN

DRAWS = 4999
_ALPHA = 0.025


def strata(labels01: Ints, before: Bools, after: Bools, columns: Mapping[str, Sequence[str]],
           variant: str, target: str, clusters: Ints | None = None, seed: int = 0
           ) -> tuple[Stratum, ...]:
    """Test every group of every column, sensitivity among its positives, specificity elsewhere.

    Args:
        labels01: (n,) of 0 and 1.
        before: (n,) whether the float32 model calls each image positive.
        after: the same of the variant.
        columns: by name, the group (n,) of each image.
        variant: whose decisions.
        target: where it ran.
        clusters: (n,) the patient's number of every image, None where every image is its own.
        seed: of the permutations.
    """
    found = []
    for column, groups in columns.items():
        names = np.asarray(groups)
        for metric, mine in (("sensitivity", labels01 == 1), ("specificity", labels01 == 0)):
            right = (before == (labels01 == 1)), (after == (labels01 == 1))
            for group in sorted(set(names[mine])):
                here = mine & (names == group)
                rest = mine & (names != group) & (names != UNKNOWN)
                test = paired.paired_proportion(
                    metric, right[0][here], right[1][here], None, "no such image in this group",
                    of(clusters, here))
                found.append(Stratum(
                    variant, target, column, str(group), metric, int(here.sum()), test.old,
                    test.new, test.lost or 0, test.gained or 0, test.difference, test.p_value,
                    interaction(_change(right, here), _change(right, rest),
                                None if clusters is None else (clusters[here], clusters[rest]),
                                seed),
                    detectable(_independent(here, clusters))))
    return tuple(found)


def worst(found: Sequence[Stratum], variant: str, target: str) -> Stratum | None:
    """Return the group that lost most of its cancers in one cell, or None where none lost any.

    Groups of fewer than five positives and images without a group are shown and never named.
    """
    losing = [s for s in found if (s.variant, s.target) == (variant, target)
              and s.metric == "sensitivity" and s.n >= SMALLEST and s.group != UNKNOWN
              and s.difference.value is not None and s.difference.value < 0]
    return min(losing, key=lambda s: (s.difference.value, -s.lost, s.column, s.group), default=None)


def _change(right: tuple[Bools, Bools], rows: Bools) -> npt.NDArray[np.int64]:
    return right[1][rows].astype(np.int64) - right[0][rows].astype(np.int64)


def _independent(rows: Bools, clusters: Ints | None) -> int:
    return int(rows.sum()) if clusters is None else len(np.unique(clusters[rows]))


def interaction(here: npt.NDArray[np.int64], rest: npt.NDArray[np.int64],
                clusters: tuple[Ints, Ints] | None, seed: int = 0) -> float | None:
    """Return the p-value that a group changes as the others do; None where nobody changes.

    Permutation test of the difference of mean changes, over patients (Edgington and Onghena 2007,
    Randomization Tests, chapter 4); two-sided, seeded, never 0.

    Args:
        here: (n,) changes −1, 0 or 1 of the group's images.
        rest: the same of the others.
        clusters: patients' numbers of both, None where every image is its own.
        seed: of the draws.
    """
    if not len(here) or not len(rest) or not (here.any() or rest.any()):
        return None
    sums: npt.NDArray[np.floating] = np.concatenate([here, rest]).astype(np.float64)
    sizes = np.ones(len(sums))
    first = np.arange(len(sums)) < len(here)
    if clusters is not None:
        whose = np.concatenate(clusters) * 2 + ~first  # a patient may have images in both
        _, number = np.unique(whose, return_inverse=True)
        first = np.bincount(number, weights=first) > 0
        sums = np.bincount(number, weights=sums).astype(np.float64)
        sizes = np.bincount(number).astype(np.float64)

    def apart(mine: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        own, own_size = mine @ sums, mine @ sizes
        other, other_size = sums.sum() - own, sizes.sum() - own_size
        with np.errstate(divide="ignore", invalid="ignore"):
            gap: npt.NDArray[np.float64] = np.abs(own / own_size - other / other_size)
        return gap

    rng = np.random.default_rng(seed)
    draws = rng.permuted(np.broadcast_to(first, (DRAWS, len(first))), axis=1)
    seen = float(apart(first[None])[0])
    return float((np.count_nonzero(apart(draws) >= seen - 1e-12) + 1) / (DRAWS + 1))


@lru_cache(maxsize=1024)
def detectable(n: int) -> float | None:
    """Return the smallest loss that ``n`` cases prove with 80% power where nothing is gained.

    Every lost case counts against ½ (McNemar, one-sided at 2.5%), so six must be lost. None where
    even losing all proves nothing.
    """
    least = next(k for k in range(1, 60) if binom.sf(k - 1, k, 0.5) <= _ALPHA)
    if n < least:
        return None

    def short(loss: float) -> float:
        return float(binom.sf(least - 1, n, loss)) - POWER

    return float(brentq(short, 1e-9, 1.0)) if short(1.0) > 0 else None
