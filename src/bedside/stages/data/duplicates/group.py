"""Groups that a split must not separate: duplicates, and one patient's images."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bedside.readers.parallel import one_blas_thread
from bedside.stages.data.duplicates import near
from bedside.stages.data.duplicates.near import Disjoint, Link
from bedside.stages.data.scan import Scanned, Thumbs


@dataclass(frozen=True, slots=True)
class Groups:
    """For each image its set, named by the smallest index in it.

    ``pictures`` joins duplicates only; ``kept`` joins one patient's images as well. ``links``
    are those that joined two sets of duplicates.
    """

    pictures: tuple[int, ...]
    kept: tuple[int, ...]
    links: tuple[Link, ...]


def group(images: Sequence[Scanned], patients: Sequence[str | None], thumbs: Thumbs,
          exhaustive: int = 4096, apart: Collection[tuple[int, int]] = ()) -> Groups:
    """Find exact and near duplicates, and join them and each patient's images.

    Args:
        images: what the scan saw.
        patients: as ``images``; None where unknown.
        thumbs: rows as ``images``.
        exhaustive: up to how many images every pair is compared.
        apart: pairs that a person decided are not one picture. Equal files and equal pixels
            stay together, and so do pairs that third images join.
    """
    sets = Disjoint(len(images))
    links: list[Link] = []
    for kind, keys in (("same file", [s.sha256 for s in images]),
                       ("same pixels", [s.content for s in images])):
        found = near.same(keys, kind)  # type: ignore[arg-type]
        links.extend(link for link in found if sets.union(link.first, link.second))
    first_of = sets.roots()
    refused = {(min(p), max(p)) for p in ((first_of[i], first_of[j]) for i, j in apart)}
    with one_blas_thread():
        links.extend(near.near(images, thumbs, sets, exhaustive, refused))
    pictures = tuple(sets.roots())
    first: dict[str, int] = {}
    for i, patient in enumerate(patients):
        if patient is not None:
            sets.union(first.setdefault(patient, i), i)
    return Groups(pictures, tuple(sets.roots()), tuple(links))


def conflicts(pictures: Sequence[int], labels: Sequence[str]) -> dict[int, list[int]]:
    """Sets of duplicates whose images bear different labels, with their members."""
    seen: dict[int, set[str]] = {}
    for root, label in zip(pictures, labels, strict=True):
        seen.setdefault(root, set()).add(label)
    disputed: dict[int, list[int]] = {root: [] for root, names in seen.items() if len(names) > 1}
    for i, root in enumerate(pictures):
        if root in disputed:
            disputed[root].append(i)
    return disputed
