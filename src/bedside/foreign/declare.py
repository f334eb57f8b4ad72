"""A model's contract: what a person declares, else what the file says; the rest is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bedside.core.contract import Colour, Declared, Filter, Fit
from bedside.core.errors import BadInput
from bedside.core.types import Preprocess
from bedside.foreign.metadata import Found

FLAG = "declared"
PREPROCESS = "--preprocess"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a model means: the values of its contract, and where each comes from."""

    classes: tuple[str, ...]
    input_range: tuple[float, float]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    colour: Colour
    preprocess: Preprocess
    origin: dict[str, str] = field(default_factory=dict)


def meaning(path: Path, declared: Declared, found: Found, size: tuple[int, int, int], width: int,
            given: Preprocess | None = None, integer_pixels: bool = False,
            classes_from: str = FLAG, given_from: str = PREPROCESS) -> Meaning:
    """Return a model's meaning.

    Args:
        path: the file, for messages.
        declared: what a person says; it wins over what is found.
        found: what the file says.
        size: height, width and channels of the input.
        width: values of its output.
        given: preprocessing declared as a whole (``--preprocess``): range, colours, resize.
        integer_pixels: the file takes uint8 pixels.
        classes_from: where the declared classes come from.
        given_from: where ``given`` comes from.

    Raises:
        BadInput: something is neither declared nor found, with the flags to give; or a number of
            classes, means or standard deviations that does not fit.
    """
    _, _, channels = size
    origin: dict[str, str] = {}
    missing: dict[str, str] = {}
    classes = _classes(path, declared, found, width, origin, missing, classes_from)
    colour = _colour(declared, found, channels, given, origin, missing, given_from)
    if given is not None:
        _fits(path, given, size, declared)
        origin |= dict.fromkeys(("input_range", "resize"), given_from)
        input_range: tuple[float, float] = (0.0, 1.0)
        mean: tuple[float, ...] = ()
        std: tuple[float, ...] = ()
    else:
        input_range, mean, std = _range(declared, found, integer_pixels, origin, missing)
    fit: Fit = declared.resize or "stretch"
    if given is None:
        if declared.resize is None:
            missing["resize"] = "--resize stretch (or fit, crop)"
        origin["resize"] = FLAG
    if missing:
        raise BadInput(f"{_words(list(missing))} {'is' if len(missing) == 1 else 'are'} neither "
                       "declared nor in the file", where=path,
                       remedy=f"Give {' '.join(missing.values())}.")
    for name, values in (("--mean", mean), ("--std", std)):
        if len(values) not in (0, 1, channels):
            raise BadInput(f"{len(values)} numbers for {channels} channels", where=name,
                           remedy="Give one, or one a channel.")
    if any(s <= 0 for s in std) or input_range[0] >= input_range[1]:
        raise BadInput("a standard deviation of 0 or less, or an empty range", where=path,
                       remedy="Give --std above 0, and the smaller number of --input-range first.")
    preprocess = given or Preprocess(
        size[0], size[1], channels, resize_name(declared.filter or "bilinear", fit),
        declared.normalise or "dtype")
    return Meaning(classes, input_range, mean, std, colour, preprocess, origin)


def resize_name(kind: Filter, fit: Fit) -> Any:
    """Return how :class:`Preprocess` writes a filter and a fit, as ``area-crop``."""
    return kind if fit == "stretch" else f"{kind}-{fit}"


def _words(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _classes(path: Path, declared: Declared, found: Found, width: int, origin: dict[str, str],
             missing: dict[str, str], source: str) -> tuple[str, ...]:
    count = 2 if width == 1 else width
    names = declared.classes or found.labels
    flag = "--model-classes" if source == FLAG else source
    where = flag if declared.classes else f"{path}: {found.labels_from}"
    if not names:
        missing["class order"] = "--model-classes " + ",".join("ABCDEFGH"[:min(count, 8)]) + (
            ",…" if count > 8 else "")
        return ()
    remedy = "Give --model-classes with every class, in the model's order."
    if len(names) != count:
        scores = "a single score, for two classes" if width == 1 else f"{width} scores"
        raise BadInput(f"{len(names)} names for a model of {scores}", where=where, remedy=remedy)
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice or not all(n.strip() for n in names):
        raise BadInput(f"the class {twice[0]!r} is named twice" if twice else "an empty class name",
                       where=where, remedy=remedy)
    origin["classes"] = source if declared.classes else found.labels_from
    return tuple(names)


def _colour(declared: Declared, found: Found, channels: int, given: Preprocess | None,
            origin: dict[str, str], missing: dict[str, str], source: str) -> Colour:
    if channels == 1:
        if declared.colour not in (None, "grey"):
            raise BadInput(f"{declared.colour} for a model of one channel", where="--colour",
                           remedy="Leave it out.")
        origin["colour"] = "one channel"
        return "grey"
    if declared.colour == "grey":
        raise BadInput("grey for a model of three channels", where="--colour",
                       remedy="Give rgb or bgr; a grey image fills all three.")
    if declared.colour is not None:
        origin["colour"] = FLAG
        return declared.colour
    if given is not None or found.colour == "rgb":
        origin["colour"] = source if given is not None else "model metadata"
        return "rgb"
    missing["colour order"] = "--colour rgb (or bgr)"
    return "rgb"


def _range(declared: Declared, found: Found, integer_pixels: bool, origin: dict[str, str],
           missing: dict[str, str]
           ) -> tuple[tuple[float, float], tuple[float, ...], tuple[float, ...]]:
    if declared.input_range is not None:
        origin["input_range"] = FLAG
        return declared.input_range, declared.mean, declared.std
    if declared.mean or declared.std:
        # They mean nothing without the range that they apply to.
        missing["input range"] = "--input-range 0,1 (or 0,255; --mean and --std apply to it)"
        return (0.0, 1.0), declared.mean, declared.std
    if found.mean or found.std:
        origin["input_range"] = "NormalizationOptions of the model's metadata"
        return (0.0, 255.0), found.mean, found.std
    if integer_pixels:
        origin["input_range"] = "uint8 input"
        return (0.0, 255.0), (), ()
    missing["input range"] = "--input-range 0,1 (or -1,1 or 0,255)"
    return (0.0, 1.0), (), ()


def _fits(path: Path, given: Preprocess, size: tuple[int, int, int], declared: Declared) -> None:
    height, width, channels = size
    if (given.height_px, given.width_px, given.channels) != size:
        raise BadInput(f"preprocessing gives {given.height_px}×{given.width_px}×{given.channels}; "
                       f"the model takes {height}×{width}×{channels}", where="--preprocess",
                       remedy="Make the two agree.")
    twice = [flag for flag, value in (
        ("--input-range", declared.input_range), ("--mean", declared.mean), ("--std", declared.std),
        ("--resize", declared.resize), ("--filter", declared.filter),
        ("--normalise", declared.normalise)) if value]
    if twice:
        raise BadInput(f"{' and '.join(twice)} beside --preprocess, which says it too", where=path,
                       remedy="Give the one or the other.")
