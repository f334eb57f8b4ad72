"""The roofline against published architectures, published latencies and hand arithmetic."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from bedside import schemes, targets
from bedside.core.build import Roofline, Target
from bedside.core.errors import BadInput, Unsupported
from bedside.core.study import EvaluateConfig
from bedside.runfolder import layout, stored
from bedside.runtime.graph import read_graph
from bedside.stages import quantize
from bedside.stages.build import build
from bedside.stages.evaluate.stage import evaluate
from bedside.targets import estimate, networks, roofline

FLAT = Roofline("cpu", {"float32": 10.0, "int8": 40.0}, 10.0, 5.0, 0, "", 0.5,
                {"float32": "float32", "float32×int8": "int8", "int8": "int8"})


def test_a_float_file_on_an_integer_npu_is_unsupported_with_its_formats():
    with pytest.raises(Unsupported, match=r"NPU has no arithmetic for float32.*int8"):
        roofline.predict(networks.network_works("resnet18"), targets.load("sd865-npu").roofline)


@pytest.mark.parametrize("bad", [None, replace(FLAT, bandwidth_gbs=0.0),
                                 replace(FLAT, assumed_efficiency=1.5),
                                 replace(FLAT, peak_gmacs={"float32": -1.0})])
def test_a_profile_that_cannot_be_is_refused(bad):
    with pytest.raises(BadInput, match=r"roofline|rates"):
        estimate.profile(Target("x", "estimate", roofline=bad))


@pytest.fixture(scope="module")
def own_run(tiny_run, tmp_path_factory):
    run = tmp_path_factory.mktemp("estimate") / "run"
    shutil.copytree(tiny_run, run)
    return run


@pytest.fixture(scope="module")
def rows(own_run):
    for scheme in ("float32", "float16"):
        quantize.quantize(own_run, "resnet34", schemes.parse(scheme), None, None)
    pairs = [("resnet34-float32", "sd865-cpu"), ("resnet34-float16", "sd865-cpu"),
             ("resnet34-float32", "sd865-npu")]
    for pair in pairs:
        build(own_run, *pair)
    evaluate(own_run, pairs, EvaluateConfig(rounds=1, samples=1))
    return {(m.variant, m.target): m for m in stored.measurements(own_run)}


def test_an_estimate_is_a_row_that_says_so(rows):
    row = rows["resnet34-float32", "sd865-cpu"]
    assert (row.status, row.evidence) == ("ok", {"latency": "estimated"})
    assert (row.latency_ms.n, row.latency_ms.p95, row.metrics) == (0, None, {})
    assert row.latency_note.startswith("unfitted")
    assert row.facts["energy_mj_45nm"] > 0
    refused = rows["resnet34-float32", "sd865-npu"]
    assert (refused.status, refused.latency_ms) == ("unsupported", None)
    assert "no arithmetic for float32" in refused.reason


def test_float16_weights_are_unpacked_once_and_then_cost_nothing(rows, own_run):
    del rows
    counts = []
    for scheme in ("float32", "float16"):
        graph = read_graph(layout.variant_dir(own_run, f"resnet34-{scheme}") / "model.tflite")
        counts.append([(w.op, w.macs) for w in roofline.works(graph)])
    assert counts[0] == counts[1]
