"""Flags of a contract: what they hold, and what is none of a flag's values."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bedside.core.contract import Declared
from bedside.core.errors import BadInput
from bedside.flows.declared import DECLARED, declared_of, joined


def flags(**given):
    return SimpleNamespace(**(dict.fromkeys(DECLARED) | given))


def test_nothing_declares_nothing():
    assert declared_of(flags()) == Declared()


def test_every_flag_reaches_the_contract():
    assert declared_of(flags(
        model_classes="malignant, other", input_range="-1,1", mean="0.5,0.4,0.3", std="0.5",
        colour="bgr", resize="crop", filter="area", normalise="max", output_kind="probabilities",
        output="scores", signature="predict", image_size="224,192")) == Declared(
        ("malignant", "other"), (-1.0, 1.0), (0.5, 0.4, 0.3), (0.5,), "bgr", "crop", "area", "max",
        "probabilities", "scores", "predict", (224, 192))


def test_flags_complete_and_change_what_a_study_declares():
    own = Declared(("a", "b"), (0.0, 1.0), resize="fit")
    assert joined(Declared(input_range=(-1.0, 1.0)), own) == Declared(
        ("a", "b"), (-1.0, 1.0), resize="fit")
    assert joined(Declared(), own) == own


@pytest.mark.parametrize(("given", "flag"), [
    ({"model_classes": "a"}, "--model-classes"), ({"model_classes": "a,,b"}, "--model-classes"),
    ({"input_range": "0"}, "--input-range"), ({"input_range": "0,1,2"}, "--input-range"),
    ({"input_range": "zero,one"}, "--input-range"), ({"input_range": "0,inf"}, "--input-range"),
    ({"mean": ""}, "--mean"), ({"std": "1,x"}, "--std"), ({"colour": "rbg"}, "--colour"),
    ({"resize": "letterbox"}, "--resize"), ({"filter": "cubic"}, "--filter"),
    ({"normalise": "own"}, "--normalise"), ({"output_kind": "scores"}, "--output-kind"),
    ({"image_size": "224"}, "--image-size"), ({"image_size": "0,5"}, "--image-size"),
    ({"image_size": "2.5,5"}, "--image-size")])
def test_what_is_no_value_is_refused(given, flag):
    with pytest.raises(BadInput) as caught:
        declared_of(flags(**given))
    assert caught.value.where == flag and caught.value.remedy
