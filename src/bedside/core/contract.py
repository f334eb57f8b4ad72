"""Types of a model's contract: what a model that enters from outside means by its numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bedside.core.types import Estimate, Preprocess

SCHEMA = 1

Colour = Literal["grey", "rgb", "bgr"]
Fit = Literal["stretch", "fit", "crop"]
Filter = Literal["bilinear", "nearest", "area"]
# ``sigmoids``: one probability a class, each for itself.
OutputKind = Literal["logits", "probabilities", "log-probabilities", "sigmoids"]


@dataclass(frozen=True, slots=True)
class Declared:
    """What a person declares of a model; empty or None: it is looked for in the file.

    ``classes``: in the model's order; a single output scores the last of two. ``input_range``: the
    values of a pixel of 0 and of the largest value of the image's type. ``mean`` and ``std`` are
    applied after it, one number or one a channel, in the model's order of channels. ``normalise``:
    ``max`` where the model was trained on images divided by their own maximum. ``image_px``:
    height and width, where the file leaves them open. ``output`` and ``signature`` name one of
    several.
    """

    classes: tuple[str, ...] = ()
    input_range: tuple[float, float] | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    colour: Colour | None = None
    resize: Fit | None = None
    filter: Filter | None = None
    normalise: Literal["dtype", "max"] | None = None
    output_kind: OutputKind | None = None
    output: str | None = None
    signature: str | None = None
    image_px: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Contract:
    """``contract.toml``: the meaning of a model, as declared or as it stands in its file.

    ``input_range`` to ``output_kind``, and ``source_classes``, speak of ``source``, the file that
    entered. ``preprocess`` is what the normalised file needs, whose hash is ``sha256``: range,
    mean, standard deviation and colour order lie in its graph, and its output is logits of
    ``classes``, in that order.
    ``origin`` says where each value comes from; ``changes`` what was done to the graph.
    """

    schema: int
    source: str
    source_sha256: str
    sha256: str
    classes: tuple[str, ...]
    input_range: tuple[float, float]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    colour: Colour
    output_kind: OutputKind
    preprocess: Preprocess
    source_classes: tuple[str, ...]
    origin: dict[str, str] = field(default_factory=dict)
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parity:
    """Agreement of the normalised file with the one that entered, on the same images.

    ``largest_difference``: of a class probability. ``classes_differ``: images whose likeliest class
    is another.
    """

    images: int
    classes_differ: int
    largest_difference: float


@dataclass(frozen=True, slots=True)
class ContractCheck:
    """``contract_check.json``: the contract held against labelled validation images.

    ``called``: images by the class that they were given. ``auc`` is the normalised model's,
    ``source_auc`` that of the file that entered, or null where that file is not at hand.
    """

    images: int
    auc: Estimate
    source_auc: float | None
    called: dict[str, int]
    parity: Parity | None
