"""A contract is declared or found; what is neither is refused, with every flag to give."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedside.core.contract import Declared
from bedside.core.errors import BadInput
from bedside.core.types import Preprocess
from bedside.foreign.declare import meaning
from bedside.foreign.metadata import Found

GREY, RGB = (32, 32, 1), (32, 32, 3)
WHOLE = Declared(("a", "b"), (0.0, 1.0), colour="rgb", resize="stretch")


def told(declared=WHOLE, size=RGB, width=2, found=None, **more):
    return meaning(Path("net.tflite"), declared, found or Found(), size, width, **more)


@pytest.mark.parametrize(("declared", "size", "flags"), [
    (Declared(), GREY, ["--model-classes A,B", "--input-range", "--resize"]),
    (Declared(), RGB, ["--model-classes A,B", "--input-range", "--colour", "--resize"]),
    (Declared(("a", "b"), (0.0, 1.0), resize="crop"), RGB, ["--colour"]),
    (Declared(("a", "b"), (0.0, 1.0)), GREY, ["--resize"]),
    (Declared(("a", "b"), resize="fit"), GREY, ["--input-range"]),
    (Declared(("a", "b"), mean=(0.5,), std=(0.5,), resize="fit"), GREY, ["--input-range"]),
    (Declared(input_range=(0.0, 1.0), resize="fit"), GREY, ["--model-classes"])])
def test_what_is_missing_is_asked_for_at_once(declared, size, flags):
    with pytest.raises(BadInput, match="neither declared nor in the file") as caught:
        told(declared, size)
    every = {"--model-classes", "--input-range", "--colour", "--resize"}
    named = {f.split()[0] for f in flags}
    assert all(f in caught.value.message for f in flags)
    assert not any(f in caught.value.message for f in every - named)


def test_three_classes_are_asked_for_by_their_number():
    with pytest.raises(BadInput, match="--model-classes A,B,C "):
        told(Declared(), GREY, width=3)


@pytest.mark.parametrize(("declared", "size", "width", "fault"), [
    (Declared(("a", "b", "c"), (0.0, 1.0), resize="fit"), GREY, 2, "3 names for a model of 2"),
    (Declared(("a", "b", "c"), (0.0, 1.0), resize="fit"), GREY, 1, "a single score"),
    (Declared(("a", "a"), (0.0, 1.0), resize="fit"), GREY, 2, "named twice"),
    (Declared(("a", "b"), (0.0, 1.0), colour="rgb", resize="fit"), GREY, 2, "one channel"),
    (Declared(("a", "b"), (0.0, 1.0), colour="grey", resize="fit"), RGB, 2, "three channels"),
    (Declared(("a", "b"), (0.0, 1.0), (0.5, 0.5), (), "rgb", "fit"), RGB, 2, "2 numbers for 3"),
    (Declared(("a", "b"), (0.0, 1.0), (), (0.0,), "rgb", "fit"), RGB, 2, "deviation of 0"),
    (Declared(("a", "b"), (1.0, 0.0), (), (), "rgb", "fit"), RGB, 2, "empty range")])
def test_what_cannot_be_is_refused(declared, size, width, fault):
    with pytest.raises(BadInput) as caught:
        told(declared, size, width)
    assert fault in caught.value.message


def test_what_was_found_needs_no_flag():
    found = Found(("dark", "bright"), "labels.txt", (127.5,), (127.5,), "rgb")
    known = told(Declared(resize="fit", filter="area", normalise="max"), RGB, found=found)
    assert known.classes == ("dark", "bright") and known.colour == "rgb"
    assert known.input_range == (0.0, 255.0) and known.mean == known.std == (127.5,)
    assert known.preprocess == Preprocess(32, 32, 3, "area-fit", "max")
    assert known.origin == {"classes": "labels.txt", "colour": "model metadata",
                            "input_range": "NormalizationOptions of the model's metadata",
                            "resize": "declared"}


def test_preprocessing_as_a_whole_declares_range_colour_and_resize():
    given = Preprocess(32, 32, 3, normalise="max", mean=(0.5,), std=(0.5,))
    known = told(Declared(("a", "b")), RGB, given=given)
    assert known.preprocess == given and known.input_range == (0.0, 1.0) and known.colour == "rgb"
    with pytest.raises(BadInput, match="16×32×3; the model takes 32×32×3"):
        told(Declared(("a", "b")), RGB, given=Preprocess(16, 32, 3))
