"""Types of a bundle's ``manifest.json``, reference file and familiarity file.

Fields may be added; a reader refuses what it does not know, so a new field raises ``schema``.
Bundles of an older schema open: what they lack has its default.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bedside.core.types import Abstention, Evidence, Preprocess, Task

SCHEMA = 2
OLDER = (1,)  # without below_floor and abstention
KIND = "bedside bundle"
NOTICE = "Research software, not a medical device."
NOT_FOR_USE = "Not good enough for use"

Role = Literal["model", "reference", "reference-image", "reference-pixels", "familiarity",
               "evidence", "model-card", "licence", "change"]
ONCE: tuple[Role, ...] = ("reference", "evidence", "model-card", "licence", "change")


@dataclass(frozen=True, slots=True)
class BundleFile:
    """One file of a bundle besides the manifest and its seals."""

    role: Role
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class BundleModel:
    """The build in a bundle. ``file`` is the one that the runtime opens.

    ``height_px``, ``width_px``, ``channels`` of the input lie in ``Manifest.preprocess``. ``cam``:
    whether the model gives a class activation map. ``backend`` names what runs it
    (``bedside list targets``); ``cpu`` is LiteRT.
    """

    variant: str
    network: str
    scheme: str
    target: str
    backend: str
    format: str
    file: str
    threads: int
    cam: bool
    compute_dtype: str | None = None
    evidence: dict[str, Evidence] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """The operating point: how logits become a decision.

    Probabilities are softmax(logits / ``temperature``). In a task with a positive class it is
    answered where its probability is at least ``threshold``, else the likeliest other class; in
    other tasks ``threshold`` is null and the likeliest class is answered. ``locked``: chosen on
    validation images before test was read; otherwise the default (1.0 and 0.5). ``rule`` says so.
    ``abstention``: where no class is answered; null where the study fixed none.
    """

    threshold: float | None = 0.5
    temperature: float = 1.0
    locked: bool = False
    rule: str = "default: the likeliest class, probabilities not calibrated"
    abstention: Abstention | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """``manifest.json``: the contents of a bundle and how to use them.

    ``below_floor``: why its study calls the model not good enough for use; such a bundle was
    forced, and whatever opens it says so.
    """

    schema: int
    kind: str
    name: str
    bedside: str
    notice: str
    model: BundleModel
    task: Task
    preprocess: Preprocess
    operating_point: OperatingPoint
    files: dict[str, BundleFile]
    below_floor: tuple[str, ...] = ()


# ------------------------------------------------------------------ the self-test's file


@dataclass(frozen=True, slots=True)
class ReferenceVector:
    """One synthetic image and the build's logits where the bundle was made.

    ``image``: a PNG of any size. ``pixels``: it resized, before the division, height × width ×
    channels uint8, row by row. ``logits``: of those pixels, normalised.
    """

    image: str
    pixels: str
    logits: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """``reference.json``: the vectors and the tolerances of the self-test.

    ``pixel_tolerance``: grey levels between ``pixels`` and the device's own resizing.
    ``logit_tolerance``: largest absolute difference of a logit. ``basis`` says what it rests on.
    """

    vectors: tuple[ReferenceVector, ...]
    logit_tolerance: float
    basis: str
    pixel_tolerance: int = 1


# ------------------------------------------------------------------ like the training data?


@dataclass(frozen=True, slots=True)
class Range:
    """The span of a quality measure over the training images."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Familiarity:
    """``familiarity.json``: the out-of-distribution detector of this build.

    ``names``, ``mean`` (d) and ``precision`` (d × d) describe features of the outputs
    (``docs/bundle.md`` defines them); an image whose squared Mahalanobis distance exceeds
    ``limit`` is unlike the training data. ``limit`` is a quantile of the validation images'
    distances, so ``false_alarms`` of ``validation_images`` exceed it. ``quality``: ranges of the
    image measures over the ``training_images``.
    """

    names: tuple[str, ...]
    mean: tuple[float, ...]
    precision: tuple[tuple[float, ...], ...]
    limit: float
    quality: dict[str, Range]
    training_images: int
    validation_images: int
    false_alarms: int
    quality_alarms: int


# ------------------------------------------------------------------ against the one before


@dataclass(frozen=True, slots=True)
class Change:
    """``change.json``: the differences from the previous bundle.

    ``previous`` is its id, or null for a first bundle. ``changed`` names manifest fields that
    differ. ``comparison`` holds the paired test on the test images that both have, or null with
    the ``reason``.
    """

    previous: str | None = None
    previous_name: str | None = None
    changed: tuple[str, ...] = ()
    comparison: dict[str, float | int | str | None] | None = None
    reason: str | None = None
