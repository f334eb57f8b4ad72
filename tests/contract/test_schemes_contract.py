"""Every scheme of the table, without being told."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from tiny import publish_mixture

from bedside import schemes
from bedside.core import codec
from bedside.core.build import Scheme, Variant
from bedside.core.study import CalibrationConfig
from bedside.flows import variants
from bedside.runfolder import layout, stored
from bedside.runtime.graph import CONVOLUTIONS, read_graph
from bedside.runtime.litert import LiteRTModel
from bedside.schemes import postcondition

EVERY = [name if option is None else f"{name}+{option}" for name in schemes.SCHEMES
         for option in (None, *schemes.parse(name).scheme.options)]


def test_the_table_and_the_modules_agree():
    for name in schemes.SCHEMES:
        choice = schemes.parse(name)
        module, scheme = choice.module, choice.scheme
        assert isinstance(scheme, Scheme)
        assert scheme.name == name
        assert scheme.summary
        assert choice.options == ()
        codec.to_json(module.recipe(frozenset()))  # recipes are plain data


def test_every_scheme_states_formats_that_the_postcondition_knows():
    for name in schemes.SCHEMES:
        scheme = schemes.parse(name).scheme
        assert {scheme.weights, scheme.activations, *scheme.io.values()} <= set(postcondition.BYTES)
        assert set(scheme.io) <= set(scheme.options)
        module = schemes.parse(name).module
        assert hasattr(module, "layer_rules") == hasattr(module, "layer_formats"), name


@pytest.mark.parametrize("name", schemes.SCHEMES)
def test_the_float_model_passes_for_no_scheme_that_quantizes(tiny_run, name):
    choice = schemes.parse(name)
    data = (layout.model_dir(tiny_run, "resnet34") / layout.FLOAT_MODEL).read_bytes()
    fault = postcondition.format_fault(choice, data, data)
    assert (fault is None) == (not choice.module.recipe(frozenset()))


def formats(graph, scheme_id):
    """The file's layers hold what the scheme declares, all or (where it tells layers apart) most.

    Weights count as they are stored, which is in front of a DEQUANTIZE where there is one.
    """
    choice = schemes.parse(scheme_id)
    module, scheme = choice.module, choice.scheme
    saved = {o.outputs[0]: o.inputs[0] for o in graph.operations if o.op == "DEQUANTIZE"}
    found = Counter((graph.tensors[saved.get(o.inputs[1], o.inputs[1])].dtype,
                     graph.tensors[o.inputs[0]].dtype)
                    for o in graph.operations if o.op in CONVOLUTIONS)
    declared = found[scheme.weights, scheme.activations]
    if hasattr(module, "layer_rules"):
        assert declared > found.total() / 2, found
    else:
        assert declared == found.total() > 0, found


@pytest.mark.parametrize("scheme_id", EVERY)
def test_a_scheme_makes_a_variant_that_answers_as_the_original(tiny_run, scheme_id):
    if "searched" in scheme_id:
        publish_mixture(tiny_run, "resnet34", ("layer1.1.conv1",))
    variants.make(tiny_run, "resnet34", schemes.parse(scheme_id), CalibrationConfig(images=8))
    variant_id = layout.variant_id("resnet34", scheme_id)
    place = layout.variant_dir(tiny_run, variant_id)
    variant = codec.read_json(Variant, place / layout.VARIANT)
    assert variant.id == variant_id
    assert (variant.status, variant.reason) == ("ok", None)
    assert variant.size_bytes == (place / variant.file).stat().st_size
    graph = read_graph(place / variant.file)
    assert sum(sum(v.values()) for v in variant.ops_by_dtype.values()) == len(graph.operations)
    formats(graph, scheme_id)
    model = LiteRTModel(place / variant.file)
    original = LiteRTModel(layout.model_dir(tiny_run, "resnet34") / layout.FLOAT_MODEL)
    assert set(model.outputs) == {"logits", "cam"}
    with stored.pixel_store(tiny_run, variant.preprocess) as store:
        pairs = np.array([(original.run(t)["logits"][0], model.run(t)["logits"][0])
                          for t in store.tensors(store.ids)])
    error = np.sqrt(((pairs[:, 0] - pairs[:, 1]) ** 2).mean())
    spread = pairs[:, 0].std()
    # Untrained, its images' logits lie close together; estimators that clip move them further.
    clips = set(variant.options) & {"moving_average", "percentile", "mse", "entropy"}
    assert error < (0.6 if clips else 0.25) * spread
