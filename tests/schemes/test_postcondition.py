"""Faults of written variants: formats, size, answers. Real files of the quantizer, mixed up."""

from __future__ import annotations

import shutil

import numpy as np
import outliers
import pytest

from bedside import schemes
from bedside.runfolder import layout, stored
from bedside.runtime.graph import parse_graph, read_graph
from bedside.schemes import mixed, postcondition

MODEL = "resnet34"


@pytest.fixture(scope="module")
def files(tiny_quantized):
    """The bytes of each plain variant, by scheme."""
    return {s: (layout.variant_dir(tiny_quantized, f"{MODEL}-{s}")
                / layout.VARIANT_MODEL).read_bytes()
            for s in ("float32", "float16", "dynamic", "int8")}


def _fault(files, scheme, written):
    return postcondition.format_fault(schemes.parse(scheme), files["float32"], written)


@pytest.mark.parametrize("scheme", ["float32", "float16", "dynamic", "int8"])
def test_what_the_quantizer_makes_of_a_scheme_holds_its_promise(files, scheme):
    assert _fault(files, scheme, files[scheme]) is None


@pytest.mark.parametrize("scheme", ["float16", "dynamic", "int8", "weight_int8", "int16x8"])
def test_a_copy_of_the_float_model_is_named_one(files, scheme):
    assert "copy of the float model" in _fault(files, scheme, files["float32"])
    # Another byte somewhere does not make it a quantized file.
    assert "holds float32 weights" in _fault(files, scheme, files["float32"] + b"\0")


@pytest.mark.parametrize(("scheme", "other", "text"), [
    ("float16", "dynamic", "holds int8 weights and float32 activations"),
    ("dynamic", "float16", "holds float16 weights and float32 activations"),
    ("int8", "dynamic", "holds int8 weights and float32 activations"),
    ("dynamic", "int8", "holds int8 weights and int8 activations"),
    ("float32", "float16", "holds float16 weights"),
    ("int8+io8", "int8", "its input")])
def test_a_file_of_another_scheme_is_refused(files, scheme, other, text):
    assert text in _fault(files, scheme, files[other])


def test_a_file_that_keeps_what_it_should_have_saved_is_refused(files):
    saved = len(files["float32"]) - len(files["int8"])
    said = _fault(files, "int8", files["int8"] + bytes(saved))
    assert "weights in the promised formats take" in said


def test_the_largest_size_is_near_the_real_one(files):
    """The allowance for tables must not hide weights that stayed wide."""
    original = parse_graph(files["float32"])
    for scheme in ("float16", "dynamic", "int8"):
        choice = schemes.parse(scheme)
        wanted = postcondition.promised(choice, original, None)
        limit = postcondition.largest_size(wanted, original, parse_graph(files[scheme]),
                                           len(files["float32"]))
        assert len(files[scheme]) <= limit < len(files["float32"])


def test_a_mixture_of_float_layers_alone_is_no_variant(files):
    original = parse_graph(files["float32"])
    every = tuple(layer.name for layer in mixed.layers(original))
    choice = schemes.parse("mixed+searched")
    said = postcondition.format_fault(choice, files["float32"], files["float32"], every)
    assert "every layer is left out" in said


def test_a_run_that_gives_no_finite_number_is_a_reason(tmp_path):
    """Weights beyond 65504 are infinite in float16: the quantizer writes them all the same."""
    run = outliers.write_outlier_run(tmp_path / "run", factor=3e7)
    original = (layout.model_dir(run, outliers.MODEL) / layout.FLOAT_MODEL).read_bytes()
    from bedside.schemes import float16, quantizer

    (tmp_path / "half.tflite").write_bytes(quantizer.apply(
        original, float16.recipe(frozenset()), None))
    (tmp_path / "float.tflite").write_bytes(original)
    store = layout.cache_dir(run, stored.model_spec(run, outliers.MODEL).preprocess)
    ids = [c.id for c in stored.cases(run)][:3]

    def fault(name):
        shutil.rmtree(tmp_path / "work", ignore_errors=True)
        (tmp_path / "work").mkdir()
        return postcondition.run_fault(tmp_path / name, store, ids, tmp_path / "work")

    assert fault("float.tflite") is None
    said = fault("half.tflite")
    assert "not finite" in said
    assert "3 calibration images" in said


def test_a_file_that_does_not_load_is_a_reason_without_its_path(files, tiny_run, tmp_path):
    (tmp_path / "m.tflite").write_bytes(files["int8"][:5000])
    spec = stored.model_spec(tiny_run, MODEL)
    said = postcondition.run_fault(tmp_path / "m.tflite", layout.cache_dir(
        tiny_run, spec.preprocess), [], tmp_path)
    assert said.startswith("it does not run")
    assert str(tmp_path) not in said


def test_layer_formats_follow_the_layer_rules(tiny_run):
    graph = read_graph(layout.model_dir(tiny_run, MODEL) / layout.FLOAT_MODEL)
    last = len(graph.convolutions()) - 1
    assert mixed.layer_formats(graph, frozenset(), None) == {
        0: ("float32", "float32"), last: ("float32", "float32")}
    name = mixed.layers(graph)[3].name
    assert mixed.layer_formats(graph, frozenset({"wide"}), [name]) == {3: ("int8", "int16")}
    assert np.all([f in postcondition.BYTES for f in ("int8", "int16", "float16", "float32")])
