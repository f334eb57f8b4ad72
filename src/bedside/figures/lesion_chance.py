"""Chance levels beside every figure of how class activation maps agree with lesion outlines.

What a map reaches that ignores the image: a random point, the image's centre, the pixel that lies
in most lesions of other images, and the like for regions. float32's maps stand beside them first:
where they do not point at the lesion more often than the best of these, that a variant points at
the same place is no reassurance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bedside.core import codec
from bedside.core.text import percent, plural
from bedside.core.types import Estimate, Preprocess
from bedside.figures import input_images, inputs
from bedside.metrics import chance, maps
from bedside.metrics.chance import Mask, Usual
from bedside.metrics.paired import paired_proportion
from bedside.metrics.stats import proportion

# Enough to tell where lesions lie; reading each costs some milliseconds.
OUTLINES = 500
NO_LESION = "no image with a lesion outline"
NO_OTHER = "no training or validation image outside these has a lesion outline"

# Chance levels by measure and name, in words.
LEVELS: dict[str, dict[str, str]] = {
    "hit": {"area": "a random point", "centre": "the image’s centre",
            "fixed": "the best fixed pixel"},
    "iou": {"area": "the whole image", "disc": "a centred disc of the mean lesion’s area",
            "fixed": "the best fixed region"},
    "inside": {"area": "a random region", "disc": "a centred disc of the mean lesion’s area",
               "fixed": "the best fixed region"}}

Values = Mapping[str, Sequence[Any]]


def learn(run: Path, preprocess: Preprocess, shown: str) -> tuple[Usual | None, list[str]]:
    """Learn where lesions lie from training and validation outlines; also the splits they are of.

    Args:
        run: the run folder.
        preprocess: of the network, for the size.
        shown: the split on which chance is evaluated; none of its outlines is used.
    """
    root = input_images.dataset_root(run)
    found: list[Mask] = []
    splits: list[str] = []
    cases = [c for c in input_images.used_cases(run)
             if c.masks and c.split in ("train", "val") and c.split != shown]
    for case in cases[:OUTLINES]:
        lesion = input_images.lesion_mask(root, case, preprocess)
        if lesion is not None:
            found.append(lesion)
            splits.append(case.split)
    return chance.usual(found), sorted(set(splits))


def levels(lesion: Mask, known: Usual | None) -> dict[str, dict[str, Any]]:
    """Return what each chance level reaches on one image, by measure and level.

    Hits are bool, the others fractions; None where nothing is known of other images.
    """
    whole = chance.area(lesion)
    found: dict[str, dict[str, Any]] = {
        "hit": {"area": whole, "centre": chance.centre(lesion),
                "fixed": None if known is None else bool(lesion[known.pixel])},
        "iou": {"area": whole, "disc": None, "fixed": None},
        "inside": {"area": whole, "disc": None, "fixed": None}}
    if known is not None:
        for name, region in (("disc", known.disc), ("fixed", known.region)):
            found["iou"][name] = maps.iou(region, lesion)
            found["inside"][name] = chance.inside(region, lesion)
    return found


def summary(rows: Mapping[str, Values], lesions: Sequence[Mask | None], known: Usual | None,
            splits: Sequence[str]) -> dict[str, Any]:
    """Return the facts ``chance`` of the figure ``fidelity``.

    ``outlines``, ``splits``, ``pixel`` (row and column in ``shape``): what the fixed levels were
    learned from, and the pixel. By measure (``hit``, ``iou``, ``inside``): ``levels`` (an Estimate
    each, over the images on which float32's map has a value), ``best`` (the name of the highest)
    and ``over`` by scheme: the scheme minus each level on the same images, with a 95% interval.
    ``points``: whether the lower limit of float32's hit rate lies above the best chance level;
    None where there is no hit rate.

    Args:
        rows: by scheme, the measures of every image (n,), None where undefined.
        lesions: (n,) outlines, None where an image has none.
        known: from :func:`learn`.
        splits: likewise.
    """
    each = [None if x is None else levels(x, known) for x in lesions]
    shape = next((list(x.shape) for x in lesions if x is not None), None)
    facts: dict[str, Any] = {
        "outlines": 0 if known is None else known.outlines, "splits": list(splits),
        "pixel": None if known is None else list(known.pixel), "shape": shape}
    base = rows[inputs.ORIGINAL]
    for measure, names in LEVELS.items():
        own = {name: [None if e is None or v is None else e[measure][name]
                      for e, v in zip(each, base[measure], strict=True)] for name in names}
        means = {name: _mean(values, measure, name) for name, values in own.items()}
        known_means = {k: e.value for k, e in means.items() if e.value is not None}
        facts[measure] = {
            "levels": {k: codec.encode(e) for k, e in means.items()},
            "best": max(known_means, key=known_means.__getitem__) if known_means else None,
            "over": {label: {k: codec.encode(_over(own[k], rows[label][measure], measure, k))
                             for k in names} for label in rows}}
    return facts | {"points": _points(facts["hit"], base["hit"])}


def _pointwise(measure: str, name: str) -> bool:
    return measure == "hit" and name != "area"


def _reason(name: str, values: Sequence[Any]) -> str:
    return NO_OTHER if name in ("disc", "fixed") and values else NO_LESION


def _mean(values: Sequence[Any], measure: str, name: str) -> Estimate:
    known = [v for v in values if v is not None]
    reason = _reason(name, values)
    if _pointwise(measure, name):
        return proportion(sum(known), len(known), reason)
    return maps.mean(values, 0.0, 1.0, reason)


def _over(level: Sequence[Any], own: Sequence[Any], measure: str, name: str) -> Estimate:
    reason = _reason(name, level)
    if not _pointwise(measure, name):
        return maps.change(level, own, reason)
    both = [(a, b) for a, b in zip(level, own, strict=True) if a is not None and b is not None]
    old, new = (np.asarray([p[k] for p in both], np.bool_) for k in (0, 1))
    return paired_proportion("hit", old, new, None, reason).difference


def hit_rate(values: Sequence[Any]) -> Estimate:
    """Return the share of hits among the images that have one or not."""
    known = [v for v in values if v is not None]
    return proportion(sum(known), len(known), NO_LESION)


def _points(hit: Mapping[str, Any], own: Sequence[Any]) -> bool | None:
    rate = hit_rate(own)
    if rate.low is None or hit["best"] is None:
        return None
    return bool(rate.low > hit["levels"][hit["best"]]["value"])


# ------------------------------------------------------------------ in words


def sentence(facts: Mapping[str, Any], rate: Mapping[str, Any]) -> str:
    """Say whether float32's maps point at the lesion more often than chance, with the numbers.

    Args:
        facts: from :func:`summary`.
        rate: float32's hit rate, an encoded Estimate.
    """
    if facts["points"] is None:
        return ("Whether float32’s maps point at the lesion is unknown: "
                f"{rate['reason'] or NO_LESION}.")
    best = facts["hit"]["best"]
    level, over = (facts["hit"][k] for k in ("levels", "over"))
    gain = over[inputs.ORIGINAL][best]
    numbers = (f"float32’s maps peak in the lesion on {_range(rate)} of "
               f"{plural(rate['n'], 'image')}, and {LEVELS['hit'][best]} lies in it on "
               f"{percent(level[best]['value'])} (difference {_points_range(gain)})")
    if facts["points"]:
        return f"{numbers}: they point at the lesion more often than chance."
    return (f"{numbers}: float32 is not shown to point at the lesion either, so that a "
            "variant looks at the same place is no reassurance.")


def learned(facts: Mapping[str, Any]) -> str:
    """Say from which outlines the fixed pixel and regions were learned."""
    if not facts["outlines"]:
        return f"The best fixed pixel and region are unknown: {NO_OTHER}."
    words = {"train": "training", "val": "validation"}
    of = " and ".join(words[s] for s in facts["splits"])
    return (f"The fixed pixel, region and disc were chosen on "
            f"{plural(facts['outlines'], f'{of} outline')} and are evaluated on the images shown.")


def _range(e: Mapping[str, Any]) -> str:
    return f"{percent(e['value'])} [{percent(e['low'])}, {percent(e['high'])}]"


def _points_range(e: Mapping[str, Any]) -> str:
    value, low, high = (f"{100 * e[k]:+.1f}".replace("-", "−") for k in ("value", "low", "high"))
    return f"{value} points [{low}, {high}]"
