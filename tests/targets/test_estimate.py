"""The roofline against published architectures, published latencies and hand arithmetic."""

from __future__ import annotations

import shutil
import statistics
from dataclasses import replace

import pytest

from bedside import schemes, targets
from bedside.core.build import Roofline, Target
from bedside.core.errors import BadInput, Unsupported
from bedside.core.study import EvaluateConfig
from bedside.models import MODELS, default_config
from bedside.runfolder import layout
from bedside.runtime.graph import read_graph
from bedside.stages import quantize
from bedside.stages.build import build
from bedside.stages.evaluate.stage import evaluate
from bedside.targets import estimate, networks, roofline

ESTIMATED = [t for t in targets.profiles().values() if t.backend == "estimate"]
FLAT = Roofline("cpu", {"float32": 10.0, "int8": 40.0}, 10.0, 5.0, 0, "", 0.5,
                {"float32": "float32", "float32×int8": "int8", "int8": "int8"})


# GMAC and parameters as torchvision's documentation gives them (batch norm folded here).
@pytest.mark.parametrize(("name", "gmac", "parameters"), [
    ("googlenet", 1.50, 6_624_904), ("resnet18", 1.81, 11_689_512),
    ("resnet34", 3.66, 21_797_672), ("resnet50", 4.09, 25_557_032)])
def test_reference_networks_are_as_big_as_published(name, gmac, parameters):
    works = networks.network_works(name)
    assert sum(w.macs for w in works) / 1e9 == pytest.approx(gmac, abs=0.01)
    # Batch norm has two parameters a channel, of which folding leaves one as a bias.
    assert sum(w.weights for w in works) == pytest.approx(parameters, rel=2e-3)


def test_the_table_of_operations_is_the_graph_of_the_real_network():
    """ResNet34 from torch, counted by forward hooks, multiplies as often layer by layer."""
    import torch

    from bedside.core import registry

    module = registry.lookup(MODELS, "resnet34", "model")(
        replace(default_config("resnet34"), channels=3, weights="random"), 1000).eval()
    counted = []

    def hook(layer, _, output):
        counted.append(layer.weight.numel() * output.shape[2] * output.shape[3])

    for layer in module.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(hook)
    with torch.no_grad():
        module(torch.zeros(1, 224, 224, 3))
    ours = sorted(w.macs for w in networks.network_works("resnet34") if w.op == "CONV_2D")
    # Ours classifies by a 1×1 convolution before the mean, the published one after it.
    assert sorted(c for c in counted if c != 512 * 1000 * 49) == ours


def test_time_and_energy_of_one_operation_by_hand():
    work = roofline.Work(0, "CONV_2D", "c", "float32", 2_000_000, 100, 1000)
    found = roofline.predict([work], FLAT)
    # 5 µs + 2e6 MAC ÷ (0.5 · 10e9 a second) = 405 µs; memory is 4,400 B ÷ 10 GB/s.
    assert found.ms == pytest.approx(0.405)
    assert found.operations[0].bound == "compute"
    assert found.off_chip_bytes == 4400
    joules = 2e6 * 4.6e-12 + 4400 * 243.75e-12 + 4400 * 12.5e-12
    assert found.energy_mj == pytest.approx(joules * 1e3)
    idle = replace(work, macs=0, op="ADD", activations=1_000_000)
    assert roofline.predict([idle], FLAT).ms == pytest.approx(0.005 + 4_000_400 / 10e9 * 1e3)
    assert roofline.predict([idle], FLAT).operations[0].bound == "memory"


def test_activations_that_fit_on_the_chip_do_not_travel():
    work = roofline.Work(0, "CONV_2D", "c", "int8", 10, 100, 1000)
    assert roofline.predict([work], FLAT).off_chip_bytes == 1100
    assert roofline.predict([work], replace(FLAT, on_chip_bytes=1000)).off_chip_bytes == 100


def test_int8_costs_less_time_and_energy_than_float32_everywhere():
    for target in ESTIMATED:
        formats = target.roofline.runs_as
        if not {"float32", "int8"} <= set(formats) or formats["int8"] == formats["float32"]:
            continue
        found = {k: roofline.predict(networks.network_works("resnet50", k), target.roofline)
                 for k in ("float32", "int8")}
        assert found["int8"].ms < found["float32"].ms
        assert found["int8"].energy_mj < found["float32"].energy_mj / 2


def test_fitting_finds_the_efficiency_that_made_the_rows():
    rows = []
    for name in ("googlenet", "resnet18", "resnet50"):
        works = networks.network_works(name)
        ms = roofline.predict(works, FLAT, {"float32": 0.123, "int8": 0.123}).ms
        rows.append(roofline.Published("x", "cpu", "float32", name, ms, "1"))
    assert roofline.fit(FLAT, "float32", rows) == pytest.approx(0.123, rel=1e-3)


def test_left_out_rows_are_met_within_the_goal():
    """The error that the report quotes; every published row is left out once."""
    rows = [row for t in ESTIMATED for row in roofline.leave_one_out(t.roofline)]
    assert len(rows) == len(roofline.published()) == 33
    assert statistics.median(r.error for r in rows) <= 0.35


def test_a_left_out_network_plays_no_part_in_its_own_estimate(monkeypatch):
    target = targets.load("sd865-cpu")
    before = {r.row.network: r.estimated_ms for r in roofline.leave_one_out(target.roofline)}
    changed = tuple(replace(r, ms=r.ms * 10) if r.network == "resnet50" else r
                    for r in roofline.published())
    monkeypatch.setattr(roofline, "published", lambda: changed)
    after = {r.row.network: r.estimated_ms for r in roofline.leave_one_out(target.roofline)}
    assert after["resnet50"] == before["resnet50"]
    assert after["resnet18"] != before["resnet18"]


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
    return {(m.variant, m.target): m for m in layout.measurements(own_run)}


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
