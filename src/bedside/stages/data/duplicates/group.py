"""Groups that a split must not separate: near-duplicates, and one patient's images."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from bedside.readers.parallel import one_blas_thread
from bedside.stages.data.duplicates import near
from bedside.stages.data.duplicates.near import Disjoint, Link
from bedside.stages.data.duplicates.thresholds import Mode, Thresholds
from bedside.stages.data.scan import ScannedImage, Thumbs


@dataclass(frozen=True, slots=True)
class Groups:
    """For each image its set, named by the smallest index in it.

    ``duplicates`` joins near-duplicates only; ``together`` joins one patient's images as well:
    a split must not separate them. ``links`` are those that joined two sets of near-duplicates.
    ``verified``: pairs under different labels (smaller index first) that were compared with each
    other and not only joined by third images; None where that was not asked.
    """

    duplicates: tuple[int, ...]
    together: tuple[int, ...]
    links: tuple[Link, ...]
    verified: frozenset[tuple[int, int]] | None = None


def group(images: Sequence[ScannedImage], thumbs: Thumbs, exhaustive: int = 4096,
          apart: Collection[tuple[int, int]] = (), mode: Mode = "default") -> Groups:
    """Find exact and near-duplicates, and join them and each patient's images.

    Args:
        images: what the scan measured.
        thumbs: rows as ``images``.
        exhaustive: up to this many images every pair is compared.
        apart: pairs that a person decided are different images. Equal files and equal pixels
            stay together, and so do pairs that third images join.
        mode: ``default``; ``strict`` joins near-identical images alone, ``exact`` equal ones;
            ``off`` compares nothing.
    """
    sets = Disjoint(len(images))
    links: list[Link] = []
    if mode != "off":
        for kind, keys in (("same file", [i.case.sha256 for i in images]),
                           ("same pixels", [i.content for i in images])):
            same = near.same(keys, kind)  # type: ignore[arg-type]
            links.extend(link for link in same if sets.union(link.first, link.second))
    least = None
    if mode in ("default", "strict") and len(images) > 1:
        first_of = sets.roots()
        refused = {(min(p), max(p)) for p in ((first_of[i], first_of[j]) for i, j in apart)}
        with one_blas_thread():
            least = near.thresholds(images, thumbs, sets, mode == "strict")
            links.extend(near.near(images, thumbs, sets, least, exhaustive, refused))
    duplicates = tuple(sets.roots())
    first: dict[str, int] = {}
    for i, image in enumerate(images):
        if image.case.patient is not None:
            sets.union(first.setdefault(image.case.patient, i), i)
    return Groups(duplicates, tuple(sets.roots()), tuple(links),
                  _verified(images, thumbs, duplicates, links, least))


# In larger sets the links alone count: comparing all pairs of a video's frames would take hours.
_COMPARED = 64


def _verified(images: Sequence[ScannedImage], thumbs: Thumbs, duplicates: Sequence[int],
              links: Sequence[Link], least: Thresholds | None) -> frozenset[tuple[int, int]]:
    """Return the pairs under different labels that are near-duplicates of each other."""
    labels = [i.case.label for i in images]
    pairs = {(min(k.first, k.second), max(k.first, k.second)) for k in links}
    for members in conflicts(duplicates, labels).values():
        for i, j in combinations(members, 2) if len(members) <= _COMPARED else ():
            if labels[i] == labels[j] or (i, j) in pairs:
                continue
            if images[i].content == images[j].content:
                pairs.add((i, j))
            elif least is not None:
                score = near.correlation(thumbs, np.array([i]), np.array([j])).item()
                if near.alike(thumbs, i, j, score, least):
                    pairs.add((i, j))
    return frozenset(p for p in pairs if labels[p[0]] != labels[p[1]])


def conflicts(duplicates: Sequence[int], labels: Sequence[str],
              verified: Collection[tuple[int, int]] | None = None) -> dict[int, list[int]]:
    """Return the sets of near-duplicates whose images have different labels, with their members.

    Args:
        duplicates: the set of each image.
        labels: of each image.
        verified: where given, only images in one of these pairs are members: a chain of near-
            duplicates must not put the label of an image in doubt that is like none of another.
    """
    seen: dict[int, set[str]] = {}
    for root, label in zip(duplicates, labels, strict=True):
        seen.setdefault(root, set()).add(label)
    disputed: dict[int, list[int]] = {root: [] for root, names in seen.items() if len(names) > 1}
    known = None if verified is None else {i for p in verified for i in p}
    for i, root in enumerate(duplicates):
        if root in disputed and (known is None or i in known):
            disputed[root].append(i)
    return {root: members for root, members in disputed.items() if members}
