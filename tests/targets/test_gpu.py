"""LiteRT's GPU accelerator, really run (on SwiftShader here), and held against the CPU."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from bedside.core import codec
from bedside.core.build import Agreement, Build
from bedside.core.study import EvaluateConfig
from bedside.metrics.agreement import agree
from bedside.runfolder import layout, stored
from bedside.stages.build import build
from bedside.stages.evaluate.stage import evaluate
from bedside.stages.report import results, tables
from bedside.targets import gpu, vulkan

CONFIG = EvaluateConfig(rounds=3, warmup=1, samples=5)


@pytest.fixture(scope="module")
def run(tiny_quantized, tmp_path_factory):
    copy = tmp_path_factory.mktemp("gpu") / "run"
    shutil.copytree(tiny_quantized, copy)
    for name in ("builds", "measurements"):
        shutil.rmtree(copy / name, ignore_errors=True)
    cells = [(f"resnet34-{s}", "gpu") for s in ("float32", "int8")]
    for variant, target in cells:
        assert build(copy, variant, target)
    evaluate(copy, cells, CONFIG)
    return copy


def _row(run, scheme):
    return next(m for m in stored.measurements(run) if m.scheme == scheme)


def test_a_float_network_runs_on_the_gpu_alone_and_agrees_with_the_cpu(run):
    made = codec.read_json(Build, layout.build_dir(run, "resnet34-float32", "gpu")
                           / layout.BUILD)
    assert (made.delegated_fraction, made.partitions) == (1.0, 1)
    assert {p.runs_on for p in made.placement} == {"gpu"}
    row = _row(run, "float32")
    assert row.status == "ok"
    assert row.agreement.n == row.images == 20
    assert row.agreement.changed == 0
    assert 0 < row.agreement.rmse < 1e-5 * row.agreement.logit_range


def test_a_software_adapters_time_is_labelled_and_never_ranked(run):
    adapter, _ = vulkan.choose()
    row = _row(run, "float32")
    expected = "emulated" if adapter.software else "measured"
    assert row.evidence == {"accuracy": "measured", "latency": expected}
    assert row.latency_ms.n == (2 if adapter.software else 15)
    printed = results.row(row)
    assert (tables.measured_ms(printed) is None) == adapter.software
    assert (adapter.name in (row.latency_note or "")) == adapter.software


def test_a_gpu_that_is_silently_wrong_is_a_failed_row(run):
    """Not made up: this accelerator takes the whole INT8 graph and computes something else."""
    row = _row(run, "int8")
    assert row.delegated_fraction == 1.0
    off = row.agreement.rmse > gpu.TOLERANCE * row.agreement.logit_range or row.agreement.changed
    assert row.status == ("failed" if off else "ok")
    if off:
        assert "CPU" in row.reason
        assert row.predictions is None
        assert row.metrics == {}
        assert row.latency_ms is None


@pytest.mark.parametrize(("agreement", "reason"), [
    (Agreement(10, 0, 0.0099, 1.0), None),
    (Agreement(10, 0, 0.0101, 1.0), "1.0% of their range"),
    (Agreement(10, 1, 0.0, 1.0), "another class than the CPU for 1 of 10"),
    (Agreement(10, 0, 0.0, 0.0), None),
    (Agreement(10, 0, 0.1, 0.0), "inf%"),
])
def test_the_rule_is_one_percent_and_identical_classes(agreement, reason):
    said = gpu.accept(agreement)
    assert said is None if reason is None else reason in said


def test_agreement_is_what_numpy_says():
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(50, 3)).astype(np.float32) for _ in range(2))
    found = agree(a, b)
    assert found.n == 50
    assert found.changed == sum(int(np.argmax(x) != np.argmax(y)) for x, y in zip(a, b,
                                                                                 strict=True))
    assert found.rmse == pytest.approx(float(np.linalg.norm(a - b) / np.sqrt(150)), rel=1e-5)
    assert found.logit_range == pytest.approx(float(np.ptp(b)))
