"""Decision on one image from a build's raw outputs: probability, class, warnings.

No numpy here: the process that checks and prints must not pay for what another one computes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bedside.core.errors import GateFailed
from bedside.core.types import Abstention, Task
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
    ``predicted``; both are null where the class is ``withheld``, for the reason given there.
    ``threshold`` is that of the positive class. ``familiar`` and ``distance``: like the training
    data (null where that was not assessed). ``warnings`` are sentences.
    """

    image: str
    predicted: str | None
    probability: float | None
    probabilities: dict[str, float]
    logits: tuple[float, ...]
    threshold: float | None = None
    calibrated: bool = False
    familiar: bool | None = None
    distance: float | None = None
    quality: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    overlay: str | None = None
    withheld: str | None = None


def softmax(logits: Sequence[float], temperature: float = 1.0) -> list[float]:
    """Return softmax(logits / temperature), in double precision."""
    scaled = [v / temperature for v in logits]
    top = max(scaled)
    powers = [math.exp(v - top) for v in scaled]
    whole = sum(powers)
    return [p / whole for p in powers]


def predicted_class(probabilities: Sequence[float], task: Task, threshold: float | None) -> int:
    """Return the positive class from its threshold on, else the most probable one."""
    if task.positive is not None and threshold is not None:
        positive = task.classes.index(task.positive)
        return positive if probabilities[positive] >= threshold else 1 - positive
    return max(range(len(probabilities)), key=lambda k: probabilities[k])


def withheld(probabilities: Sequence[float], task: Task, band: Abstention | None, unlike: bool
             ) -> str | None:
    """Return why no class is answered, or None: unlike the training images, or too uncertain."""
    if unlike:
        return "the image is unlike the training images"
    if band is None:
        return None
    if task.positive is not None and band.low is not None and band.high is not None:
        if band.low <= probabilities[task.classes.index(task.positive)] < band.high:
            return "too close to the threshold for a reliable answer"
    elif band.confidence is not None and max(probabilities) < band.confidence:
        return "no class is likely enough for a reliable answer"
    return None


def distance(features: Mapping[str, float], known: Familiarity) -> float:
    """Return the squared Mahalanobis distance from the training images.

    Raises:
        GateFailed: the bundle names a feature that is not known here.
    """
    absent = next((n for n in known.names if n not in features), None)
    if absent is not None:
        raise GateFailed(f"the bundle uses the feature {absent!r}, which is not known here",
                         remedy="Update bedside.")
    offset = [features[n] - m for n, m in zip(known.names, known.mean, strict=True)]
    return sum(a * sum(p * b for p, b in zip(row, offset, strict=True))
               for a, row in zip(offset, known.precision, strict=True))


def warnings(apart: float | None, quality: Mapping[str, float], known: Familiarity | None
             ) -> tuple[str, ...]:
    """Return the reasons why a person should not rely on this answer, ``apart`` its distance."""
    if known is None:
        return ()
    said = []
    if apart is not None and apart > known.limit:
        said.append(f"unlike the training data (distance {apart:.1f}, limit {known.limit:.1f})")
    for name, span in known.quality.items():
        value = quality.get(name)
        if value is None or span.low <= value <= span.high:
            continue
        words = QUALITY_WORDS.get((name, value > span.high), f"of another {name}")
        said.append(f"{words} than every training image")
    return tuple(said)


def decide(image: str, logits: Sequence[float], features: Mapping[str, float],
           quality: Mapping[str, float], task: Task, point: OperatingPoint,
           known: Familiarity | None) -> Answer:
    """Return the answer for an image from the engine's outputs."""
    probabilities = softmax(logits, point.temperature)
    predicted = predicted_class(probabilities, task, point.threshold)
    apart = distance(features, known) if known is not None else None
    reason = withheld(probabilities, task, point.abstention,
                      known is not None and apart is not None and apart > known.limit)
    return Answer(
        image, None if reason else task.classes[predicted],
        None if reason else probabilities[predicted],
        dict(zip(task.classes, probabilities, strict=True)), tuple(logits), point.threshold,
        point.locked and point.temperature != 1.0,
        None if known is None or apart is None else apart <= known.limit, apart, dict(quality),
        warnings(apart, quality, known), withheld=reason)
