"""The roofline model by hand, and its fit to published rows."""

from __future__ import annotations

import shutil
import statistics
from dataclasses import replace

import pytest
from leave_one_out import leave_one_out

from bedside import schemes, targets
from bedside.core.build import Roofline
from bedside.core.study import EvaluateConfig
from bedside.runfolder import stored
from bedside.stages import quantize
from bedside.stages.build import build
from bedside.stages.evaluate.stage import evaluate
from bedside.targets import networks, roofline

ESTIMATED = [t for t in targets.profiles().values() if t.backend == "estimate"]
FLAT = Roofline("cpu", {"float32": 10.0, "int8": 40.0}, 10.0, 5.0, 0, "", 0.5,
                {"float32": "float32", "float32×int8": "int8", "int8": "int8"})


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
    rows = [row for t in ESTIMATED for row in leave_one_out(t.roofline)]
    assert len(rows) == len(roofline.published()) == 33
    assert statistics.median(r.error for r in rows) <= 0.35


def test_a_left_out_network_plays_no_part_in_its_own_estimate(monkeypatch):
    target = targets.load("sd865-cpu")
    before = {r.row.network: r.estimated_ms for r in leave_one_out(target.roofline)}
    changed = tuple(replace(r, ms=r.ms * 10) if r.network == "resnet50" else r
                    for r in roofline.published())
    monkeypatch.setattr(roofline, "published", lambda: changed)
    after = {r.row.network: r.estimated_ms for r in leave_one_out(target.roofline)}
    assert after["resnet50"] == before["resnet50"]
    assert after["resnet18"] != before["resnet18"]


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
