"""Stratified sample of images for slow targets, chosen before any output is known."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from bedside.core.types import Case

SEED = "bedside sample 1"


def stratified(cases: Sequence[Case], count: int | None) -> list[Case]:
    """Return at most ``count`` cases, every split and class in proportion.

    Within a stratum the order is that of a keyed hash of the case ids, so it depends on
    nothing that a model puts out and is the same in every run. Shares are rounded by largest
    remainder, and no stratum is left empty where ``count`` allows. Strata alternate, so that a
    time budget which cuts the list short leaves a sample that is still stratified.

    Returns:
        The sample in the order in which to predict it; all cases, in their own order, where
        ``count`` is None.
    """
    if count is None:
        return list(cases)
    count = min(count, len(cases))
    strata: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        strata.setdefault((case.split, case.label), []).append(case)
    sizes = _shares({k: len(v) for k, v in strata.items()}, count)
    placed = []
    for key in sorted(strata):
        chosen = sorted(strata[key], key=lambda c: _rank(c.id))[:sizes[key]]
        placed += [((i + 0.5) / len(chosen), key, c) for i, c in enumerate(chosen)]
    return [c for _, _, c in sorted(placed, key=lambda item: item[:2])]


def _rank(case_id: str) -> bytes:
    return hashlib.sha256(f"{SEED} {case_id}".encode()).digest()


def _shares(sizes: dict[tuple[str, str], int], count: int) -> dict[tuple[str, str], int]:
    """Return whole shares of ``count`` proportional to ``sizes`` (largest remainder, min. 1)."""
    total = max(1, sum(sizes.values()))
    exact = {k: count * n / total for k, n in sizes.items()}
    least = 1 if count >= len(sizes) else 0
    shares = {k: max(least, int(v)) for k, v in exact.items()}

    def excess(key: tuple[str, str]) -> tuple[float, tuple[str, str]]:
        return shares[key] - exact[key], key

    # Strata without a place get one from those furthest above their share.
    while sum(shares.values()) > count:
        shares[max((k for k in sizes if shares[k] > least), key=excess)] -= 1
    while sum(shares.values()) < count:
        shares[min((k for k in sizes if shares[k] < sizes[k]), key=excess)] += 1
    return shares
