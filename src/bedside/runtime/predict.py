"""Answer with a variant's folder: ``variant.json`` and the ``.tflite`` beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bedside import codec
from bedside.errors import BadInput
from bedside.runtime.files import sha256_file
from bedside.runtime.litert import LOGITS, LiteRTModel
from bedside.runtime.preprocess import SUFFIXES, to_tensor
from bedside.types import Variant

VARIANT = "variant.json"


@dataclass(frozen=True, slots=True)
class Answer:
    """One image's answer. ``probabilities`` are the softmax of the logits, by class."""

    image: str
    predicted: str
    probability: float
    probabilities: dict[str, float]
    logits: tuple[float, ...]


def open_variant(folder: Path, threads: int = 2) -> tuple[Variant, LiteRTModel]:
    """Load a variant after comparing its file with the recorded SHA-256.

    Raises:
        BadInput: not a variant's folder, or the model file was changed.
    """
    path = folder / VARIANT
    if not path.is_file():
        raise BadInput("not a variant's folder (no variant.json)", where=folder,
                       remedy="Give a folder under RUN/variants.")
    variant = codec.read_json(Variant, path)
    if Path(variant.file).name != variant.file:
        raise BadInput("the model file lies outside the folder", where=path,
                       remedy="Take the folder anew from its source.")
    model_file = folder / variant.file
    if not model_file.is_file() or sha256_file(model_file) != variant.sha256:
        raise BadInput("the model file is missing or differs from its SHA-256", where=model_file,
                       remedy="Take the folder anew from its source.")
    model = LiteRTModel(model_file, threads)
    if model.classes != len(variant.task.classes):
        raise BadInput("the model's classes do not fit its task", where=path,
                       remedy="Take the folder anew from its source.")
    return variant, model


def images_in(paths: Iterable[Path]) -> list[Path]:
    """The images named by ``paths``; a folder stands for the images in it, sorted.

    Raises:
        BadInput: a path does not exist, or a folder holds no image.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
            if not inside:
                raise BadInput("no PNG, JPEG, BMP or TIFF in the folder", where=path,
                               remedy="Give image files or a folder of them.")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise BadInput("no such file", where=path, remedy="Check the path.")
    return found


def answer(variant: Variant, model: LiteRTModel, images: Sequence[Path]) -> Iterator[Answer]:
    """Answer images one after the other."""
    for path in images:
        logits = model.run(to_tensor(path, variant.preprocess))[LOGITS][0].astype(np.float64)
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        best = int(logits.argmax())
        classes = variant.task.classes
        yield Answer(str(path), classes[best], float(shares[best]),
                     {c: float(p) for c, p in zip(classes, shares, strict=True)},
                     tuple(float(v) for v in logits))
