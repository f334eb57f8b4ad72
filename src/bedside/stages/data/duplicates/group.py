"""Groups that a split must not separate: near-duplicates, and one patient's images."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bedside.readers.parallel import one_blas_thread
from bedside.stages.data.duplicates import near
from bedside.stages.data.duplicates.near import Disjoint, Link
from bedside.stages.data.scan import ScannedImage, Thumbs


@dataclass(frozen=True, slots=True)
class Groups:
    """For each image its set, named by the smallest index in it.

    ``duplicates`` joins near-duplicates only; ``together`` joins one patient's images as well:
    a split must not separate them. ``links`` are those that joined two sets of near-duplicates.
    """

    duplicates: tuple[int, ...]
    together: tuple[int, ...]
    links: tuple[Link, ...]


def group(images: Sequence[ScannedImage], thumbs: Thumbs, exhaustive: int = 4096,
          apart: Collection[tuple[int, int]] = ()) -> Groups:
    """Find exact and near-duplicates, and join them and each patient's images.

    Args:
        images: what the scan measured.
        thumbs: rows as ``images``.
        exhaustive: up to this many images every pair is compared.
        apart: pairs that a person decided are different images. Equal files and equal pixels
            stay together, and so do pairs that third images join.
    """
    sets = Disjoint(len(images))
    links: list[Link] = []
    for kind, keys in (("same file", [i.case.sha256 for i in images]),
                       ("same pixels", [i.content for i in images])):
        same = near.same(keys, kind)  # type: ignore[arg-type]
        links.extend(link for link in same if sets.union(link.first, link.second))
    first_of = sets.roots()
    refused = {(min(p), max(p)) for p in ((first_of[i], first_of[j]) for i, j in apart)}
    with one_blas_thread():
        links.extend(near.near(images, thumbs, sets, exhaustive, refused))
    duplicates = tuple(sets.roots())
    first: dict[str, int] = {}
    for i, image in enumerate(images):
        if image.case.patient is not None:
            sets.union(first.setdefault(image.case.patient, i), i)
    return Groups(duplicates, tuple(sets.roots()), tuple(links))


def conflicts(duplicates: Sequence[int], labels: Sequence[str]) -> dict[int, list[int]]:
    """Return the sets of near-duplicates whose images have different labels, with their members."""
    seen: dict[int, set[str]] = {}
    for root, label in zip(duplicates, labels, strict=True):
        seen.setdefault(root, set()).add(label)
    disputed: dict[int, list[int]] = {root: [] for root, names in seen.items() if len(names) > 1}
    for i, root in enumerate(duplicates):
        if root in disputed:
            disputed[root].append(i)
    return disputed
