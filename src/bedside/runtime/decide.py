"""From a build's raw outputs to an answer: probability, decision, warnings. Plain Python.

No numpy here: the process that checks and prints must not pay for what another one computes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bedside.core.errors import GateFailed
from bedside.core.types import Task
from bedside.runtime.bundle.manifest import Familiarity, OperatingPoint

QUALITY_WORDS = {
    ("brightness", False): "darker", ("brightness", True): "brighter",
    ("contrast", False): "of less contrast", ("contrast", True): "of more contrast",
    ("saturated", False): "less saturated", ("saturated", True): "more saturated",
    ("black", False): "with fewer black pixels", ("black", True): "with more black pixels",
    ("sharpness", False): "more blurred", ("sharpness", True): "sharper or noisier",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One image's answer.

    ``probabilities`` are softmax(logits / temperature), by class; ``probability`` is that of
    ``predicted``. ``threshold`` is that of the positive class. ``familiar`` and ``distance``:
    like the training data (null where that was not judged). ``warnings`` are sentences.
    """

    image: str
    predicted: str
    probability: float
    probabilities: dict[str, float]
    logits: tuple[float, ...]
    threshold: float | None = None
    calibrated: bool = False
    familiar: bool | None = None
    distance: float | None = None
    quality: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    overlay: str | None = None


def softmax(logits: Sequence[float], temperature: float = 1.0) -> list[float]:
    """softmax(logits / temperature), in double precision."""
    scaled = [v / temperature for v in logits]
    top = max(scaled)
    powers = [math.exp(v - top) for v in scaled]
    whole = sum(powers)
    return [p / whole for p in powers]


def decide(shares: Sequence[float], task: Task, threshold: float | None) -> int:
    """The answered class: the positive one from its threshold on, else the likeliest."""
    if task.positive is not None and threshold is not None:
        last = task.classes.index(task.positive)
        return last if shares[last] >= threshold else 1 - last
    return max(range(len(shares)), key=lambda k: shares[k])


def distance(features: Mapping[str, float], known: Familiarity) -> float:
    """The squared Mahalanobis distance from the training images.

    Raises:
        GateFailed: the bundle judges by a feature that is not known here.
    """
    absent = next((n for n in known.names if n not in features), None)
    if absent is not None:
        raise GateFailed(f"the bundle judges images by {absent!r}, which is not known here",
                         remedy="Update bedside.")
    offset = [features[n] - m for n, m in zip(known.names, known.mean, strict=True)]
    return sum(a * sum(p * b for p, b in zip(row, offset, strict=True))
               for a, row in zip(offset, known.precision, strict=True))


def warnings(found: float | None, quality: Mapping[str, float], known: Familiarity | None
             ) -> tuple[str, ...]:
    """Why a person should not rely on this answer."""
    if known is None:
        return ()
    said = []
    if found is not None and found > known.limit:
        said.append(f"unlike the training data (distance {found:.1f}, limit {known.limit:.1f})")
    for name, span in known.quality.items():
        value = quality.get(name)
        if value is None or span.low <= value <= span.high:
            continue
        words = QUALITY_WORDS.get((name, value > span.high), f"of another {name}")
        said.append(f"{words} than every training image")
    return tuple(said)


def judge(image: str, logits: Sequence[float], features: Mapping[str, float],
          quality: Mapping[str, float], task: Task, point: OperatingPoint,
          known: Familiarity | None) -> Answer:
    """Put an answer together from what the engine found."""
    shares = softmax(logits, point.temperature)
    best = decide(shares, task, point.threshold)
    found = distance(features, known) if known is not None else None
    return Answer(
        image, task.classes[best], shares[best],
        dict(zip(task.classes, shares, strict=True)), tuple(logits), point.threshold,
        point.locked and point.temperature != 1.0,
        None if known is None or found is None else found <= known.limit, found, dict(quality),
        warnings(found, quality, known))
