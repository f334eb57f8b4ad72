"""What a given quantized file takes follows from its float model's declared contract."""

from __future__ import annotations

from pathlib import Path

import pytest
from paths import SHARED

from bedside.core.contract import Declared
from bedside.core.errors import BadInput
from bedside.core.study import FloatModelConfig, QuantizedModelConfig, Study
from bedside.flows import study

MODELS = SHARED / "cases" / "models"


def parent(name: str, **declared: object) -> Study:
    """A study of a given file whose float model is one of the cases."""
    file = MODELS / name
    if not file.is_file():
        pytest.skip("the cases are not beside this checkout (shared/cases)")
    told = Declared(classes=("pneumonia", "normal"), resize="stretch", **declared)
    return Study(float_model=FloatModelConfig(str(file), contract=told),
                 quantized_model=QuantizedModelConfig("int8.tflite"))


@pytest.mark.parametrize(("name", "reach"), [("pneu_pm1.tflite", (-1.0, 1.0)),
                                             ("pneu_u255.tflite", (0.0, 255.0)),
                                             ("pneu_logits.tflite", (0.0, 1.0))])
def test_the_range_and_order_of_its_parent_are_its_own(name, reach):
    found = study.given_meaning(parent(name, input_range=reach))
    assert found.classes == ("pneumonia", "normal")
    low, high = ((p - found.preprocess.mean[0]) / found.preprocess.std[0] for p in (0.0, 1.0))
    assert (low, high) == pytest.approx(reach)


def test_bgr_is_refused_and_without_a_parent_there_is_nothing_to_follow():
    with pytest.raises(BadInput, match="takes BGR"):
        study.given_meaning(parent("pneu_rgb.tflite", input_range=(0.0, 1.0), colour="bgr"))
    assert study.given_meaning(Study(quantized_model=QuantizedModelConfig("q.tflite"))) is None
    assert study.given_meaning(Study(float_model=FloatModelConfig(str(Path("f.tflite"))))) is None
