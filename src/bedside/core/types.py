"""Types of cases, tasks, preprocessing and estimates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Split = Literal["train", "val", "test", "set_aside"]
Status = Literal["ok", "unsupported", "failed"]
Evidence = Literal["measured", "emulated", "simulated", "estimated"]
Quantity = Literal["accuracy", "latency", "memory"]
# One text and not two fields: stage keys and bundles of earlier versions stay what they are.
Resize = Literal["bilinear", "bilinear-fit", "bilinear-crop", "nearest", "nearest-fit",
                 "nearest-crop", "area", "area-fit", "area-crop"]
# Top, left, bottom, right in pixels; bottom and right are exclusive.
Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Case:
    """One labelled image. ``file`` and ``masks`` are relative to the dataset's root."""

    id: str
    file: str
    label: str
    patient: str | None = None
    group: str = ""
    split: Split = "set_aside"
    height_px: int = 0
    width_px: int = 0
    sha256: str = ""
    flags: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    age: float | None = None
    size_mm: float | None = None
    device: str | None = None
    sex: str | None = None


@dataclass(frozen=True, slots=True)
class SetAside:
    """An input that is not used, and why; part of the flow of cases."""

    file: str
    reason: str


@dataclass(frozen=True, slots=True)
class Task:
    """The decision of a network. In a binary task the positive class comes last."""

    classes: tuple[str, ...]
    positive: str | None = None
    exclude: tuple[str, ...] = ()
    merge: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Preprocess:
    """Preprocessing of an image (paper, Section 4.1): resize, then divide by the maximum.

    ``normalise``: ``max`` divides by the resized image's own maximum, ``dtype`` by the
    largest value of the stored integer type (255 or 65535). ``mean`` and ``std`` are applied
    after it, one number a channel, for models trained elsewhere. ``resize``: a filter and, where
    the shape of an image is kept, how: ``-fit`` with black borders, ``-crop`` its centre.
    """

    height_px: int = 224
    width_px: int = 224
    channels: int = 1
    resize: Resize = "bilinear"
    normalise: Literal["max", "dtype"] = "max"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


@dataclass(frozen=True, slots=True)
class DeidConfig:
    """Settings of de-identification.

    ``options`` of the profile: ``modified-dates``, ``retain-device``. ``pixels``: ``check``
    searches every image for text, takes it out of DICOM and sets pictures that hold some apart;
    ``clean`` takes it out of pictures too; ``unchecked`` does not search.
    ``keep_names`` are folder names that stay, ``keep_columns`` columns of a CSV besides those
    that bedside reads.
    """

    options: tuple[str, ...] = ()
    pixels: Literal["check", "clean", "unchecked"] = "check"
    keep_names: tuple[str, ...] = ("benign", "malignant", "normal", "train", "val", "test")
    keep_columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95% interval; ``value`` is null with a ``reason`` where undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Abstention:
    """Where a model gives no class, so that its wrong answers stay rare.

    With a positive class: where the probability of it (softmax(logits / temperature) with the
    temperature that ships) lies in [``low``, ``high``), around the threshold. Else: where the
    largest probability is below ``confidence``. ``risks``: the guaranteed limits, ``missed`` (share
    of positives that are called negative), ``alarms`` (share of negatives that are called positive)
    or ``wrong``; ``n``: the independent validation cases behind each. ``reason``: why a risk has no
    guarantee.
    """

    low: float | None = None
    high: float | None = None
    confidence: float | None = None
    risks: dict[str, float] = field(default_factory=dict)
    n: dict[str, int] = field(default_factory=dict)
    reason: str | None = None
