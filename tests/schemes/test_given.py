"""Files that were quantized elsewhere: what they are, and where their logits are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from quantized_models import uint8_classifier

from bedside import schemes
from bedside.core.errors import BadInput
from bedside.runfolder import layout
from bedside.runtime.graph import parse_graph
from bedside.runtime.litert import LiteRTModel
from bedside.schemes import given


def test_bytes_in_and_out_are_real_numbers_to_the_caller():
    data, weights = uint8_classifier()
    image = np.random.default_rng(1).random((1, 4, 4, 1), np.float32)
    found = LiteRTModel(Path("m"), content=data).run(image)["logits"][0]
    codes = np.rint(image.ravel() * 255)
    np.testing.assert_allclose(found, weights @ (codes / 255), atol=0.011)


def test_a_final_softmax_is_cut_off_and_its_input_is_the_logits():
    data, weights = uint8_classifier("SOFTMAX")
    cut, what = given.with_logits(data, "m")
    assert what == "SOFTMAX"
    graph = parse_graph(cut)
    assert "SOFTMAX" not in [o.op for o in graph.operations]
    assert list(graph.output_names) == ["scores"]
    image = np.random.default_rng(1).random((1, 4, 4, 1), np.float32)
    found = LiteRTModel(Path("m"), content=cut).run(image)["logits"][0]
    np.testing.assert_allclose(found, weights @ (np.rint(image.ravel() * 255) / 255), atol=1e-5)


def test_a_file_with_logits_stays_byte_for_byte():
    data, _ = uint8_classifier()
    assert given.with_logits(data, "m") == (data, None)


def test_single_probabilities_are_refused():
    data, _ = uint8_classifier("LOGISTIC")
    with pytest.raises(BadInput, match="ends in LOGISTIC"):
        given.with_logits(data, "m")


def test_quantized_files_are_told_from_float_ones(tiny_quantized):
    def is_quantized(scheme):
        path = layout.variant_dir(tiny_quantized, f"resnet34-{scheme}") / layout.VARIANT_MODEL
        return given.is_quantized(parse_graph(path.read_bytes()))

    assert [is_quantized(s) for s in ("float32", "float16", "dynamic", "int8")] == [
        False, True, True, True]


def test_it_is_no_scheme_that_a_study_can_make():
    assert schemes.GIVEN not in schemes.SCHEMES
    choice = schemes.parse(schemes.GIVEN)
    assert str(choice) == "given"
    with pytest.raises(BadInput, match="--quantized-model"):
        choice.module.recipe(frozenset())
