"""The flags that declare a model's contract, as ``run`` and ``import-model`` take them."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any, get_args

from bedside.core.contract import Colour, Declared, Filter, Fit, OutputKind
from bedside.core.errors import BadInput
from bedside.core.registry import did_you_mean

# Flags by their names in Python; each holds a text or None.
DECLARED = ("model_classes", "input_range", "mean", "std", "colour", "resize", "filter",
            "normalise", "output_kind", "output", "signature", "image_size")


def declared_of(flags: Any) -> Declared:
    """Return what flags declare.

    Args:
        flags: an object with the attributes of :data:`DECLARED`.

    Raises:
        BadInput: a value that is none of a flag's.
    """
    bounds = _numbers(flags.input_range, "--input-range", 2, "--input-range 0,1")
    size = _numbers(flags.image_size, "--image-size", 2, "--image-size 224,224")
    if size and (min(size) < 1 or any(v != int(v) for v in size)):
        raise BadInput(f"{flags.image_size!r} is not a height and a width", where="--image-size",
                       remedy="Give whole numbers of pixels, as 224,224.")
    return Declared(
        _names(flags.model_classes), (bounds[0], bounds[1]) if bounds else None,
        _numbers(flags.mean, "--mean", 0, "--mean 0.485,0.456,0.406"),
        _numbers(flags.std, "--std", 0, "--std 0.229,0.224,0.225"),
        _one(flags.colour, "--colour", get_args(Colour)),
        _one(flags.resize, "--resize", get_args(Fit)),
        _one(flags.filter, "--filter", get_args(Filter)),
        _one(flags.normalise, "--normalise", ("dtype", "max")),
        _one(flags.output_kind, "--output-kind", get_args(OutputKind)),
        flags.output, flags.signature, (int(size[0]), int(size[1])) if size else None)


def joined(first: Declared, second: Declared) -> Declared:
    """Return a declaration completed by a second one."""
    return replace(first, **{
        f.name: getattr(second, f.name) for f in fields(Declared)
        if getattr(first, f.name) in (None, ())})


def _names(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    names = tuple(n.strip() for n in text.split(","))
    if "" in names or len(names) < 2:
        raise BadInput(f"{text!r} names fewer than two classes, or an empty one",
                       where="--model-classes", remedy="Give names as A,B, in the model's order.")
    return names


def _numbers(text: str | None, flag: str, count: int, example: str) -> tuple[float, ...]:
    """Return numbers separated by commas, ``count`` of them where that is not 0."""
    if text is None:
        return ()
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(math.isfinite(v) for v in numbers) or count not in (0, len(numbers)):
        raise BadInput(f"{text!r} is not {count or 'one or more'} numbers", where=flag,
                       remedy=f"Write it as {example}.")
    return numbers


def _one(value: str | None, flag: str, known: tuple[str, ...]) -> Any:
    if value is not None and value not in known:
        raise BadInput(f"unknown value {value!r}", where=flag, remedy=did_you_mean(value, known))
    return value
