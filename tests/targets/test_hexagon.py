"""Qualcomm's compiler and simulator, really run: placement, the chip's own logits, faults."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bedside import schemes, targets
from bedside.core import codec
from bedside.core.build import Build, Latency, Target
from bedside.core.errors import BadInput, Unsupported
from bedside.core.study import CalibrationConfig, EvaluateConfig
from bedside.runfolder import layout, stored
from bedside.runtime.graph import read_graph
from bedside.stages import calibrate, quantize
from bedside.stages.build import build
from bedside.stages.evaluate.stage import evaluate
from bedside.targets import hexagon, qnn_context, qualcomm, subprocess_build

CHIP = "sm8650-hexagon"
CONFIG = EvaluateConfig(rounds=1, warmup=0, samples=2, images=12)


@pytest.fixture(scope="module")
def run(tiny_quantized, tmp_path_factory):
    copy = tmp_path_factory.mktemp("hexagon") / "run"
    shutil.copytree(tiny_quantized, copy)
    for name in ("builds", "measurements"):
        shutil.rmtree(copy / name, ignore_errors=True)
    for scheme in ("int8", "float16", "dynamic"):
        assert build(copy, f"resnet34-{scheme}", CHIP)
    evaluate(copy, [(f"resnet34-{s}", CHIP) for s in ("int8", "float16", "dynamic")], CONFIG)
    return copy


def _build(run, scheme, target=CHIP):
    return codec.read_json(Build, layout.build_dir(run, f"resnet34-{scheme}", target)
                           / layout.BUILD)


def _row(run, scheme, target=CHIP):
    return next(m for m in stored.measurements(run)
                if (m.variant, m.target) == (f"resnet34-{scheme}", target))


def test_the_whole_network_goes_to_the_npu_in_one_partition(run):
    for scheme in ("int8", "float16"):
        made = _build(run, scheme)
        assert (made.status, made.partitions, made.delegated_fraction) == ("ok", 1, 1.0)
        assert {p.runs_on for p in made.placement} == {"hexagon"}
        graph = read_graph(layout.variant_dir(run, f"resnet34-{scheme}") / "model.tflite")
        assert len(made.placement) == len(graph.operations)


def test_the_simulator_runs_the_phones_own_artefact(run):
    """The context in the ONNX wrapper is, byte for byte, the one in the phone's file."""
    import onnx

    folder = layout.build_dir(run, "resnet34-int8", CHIP)
    phone = (folder / hexagon.COMPILED).read_bytes()
    node = onnx.load(str(folder / hexagon.CONTEXT)).graph.node[0]
    context = next(a.s for a in node.attribute if a.name == "ep_cache_context")
    assert len(context) > 100_000
    assert context in phone
    assert qnn_context.soc_of(folder / hexagon.CONTEXT) == "57"


def test_a_row_is_simulated_accuracy_and_estimated_latency(run):
    row = _row(run, "int8")
    assert (row.status, row.evidence) == (
        "ok", {"accuracy": "simulated", "latency": "estimated"})
    assert "keeps no time" in row.latency_note
    assert "Galaxy S24" in row.latency_note
    # The cost model's own figure for this graph on this chip, and no clock's.
    build(run, "resnet34-int8", "sd8gen3-npu")
    alone = _build(run, "int8", "sd8gen3-npu")
    assert row.latency_ms == Latency(alone.latency_ms.median, None, 0, 1)
    assert row.facts["fitted"] == 1.0
    assert row.peak_memory_bytes is None
    assert (row.images, row.images_total, row.compute_dtype) == (12, 20, "int8")
    counts = [row.metrics[s]["accuracy"].n for s in ("val", "test")]
    assert sum(counts) == 12
    # Near the CPU's int8 and not its copy: the NPU rounds in its own way.
    assert 0 < row.agreement.rmse < 0.1 * row.agreement.logit_range
    assert row.agreement.n == row.agreement_float32.n == 12
    assert row.agreement_float32.rmse > 0


def test_wide_activations_are_tried_and_their_outcome_is_a_row(run):
    """Qualcomm's compiler has no depthwise convolution of int16, which a grey stem becomes."""
    folder = calibrate.calibrate(run, "resnet34", CalibrationConfig(images=8), None)
    quantize.quantize(run, "resnet34", schemes.parse("int16x8"), folder,
                      calibrate.read_ranges(folder))
    assert build(run, "resnet34-int16x8", CHIP)
    made = _build(run, "int16x8")
    assert (made.status, made.partitions) == ("unsupported", 3)
    assert "2 of 64 operations stay off the NPU" in made.reason
    assert "DEPTHWISE_CONV_2D 'conv1'" in made.reason
    assert build(run, "resnet34-int16x8", "ethos-u85-1024")
    arm = _build(run, "int16x8", "ethos-u85-1024")
    assert (arm.status, arm.delegated_fraction, arm.compute_dtype) == ("ok", 1.0, "int16×int8")


def test_a_chip_without_published_latencies_has_none_and_says_so(run):
    assert build(run, "resnet34-int8", "sm8350-hexagon")
    made = _build(run, "int8", "sm8350-hexagon")
    assert (made.status, made.latency_ms) == ("ok", None)
    assert "no published latency of this chip" in made.latency_note


def test_a_latency_profile_of_the_users_own_is_used_and_another_one_builds_anew(run):
    folder = run / "targets"
    folder.mkdir(exist_ok=True)
    profile = (Path(targets.__file__).parent / "profiles" / "sd8gen3-npu.toml").read_text()
    ours = folder / "our-npu.toml"
    ours.write_text(profile.replace("sd8gen3-npu", "our-npu"))
    (folder / "our-hexagon.toml").write_text(
        'id = "our-hexagon"\nbackend = "hexagon"\nthreads = 1\n'
        '[options]\nchip = "SM8650"\nlatency = "our-npu"\n')
    assert build(run, "resnet34-int8", "our-hexagon")
    first = _build(run, "int8", "our-hexagon")
    assert (first.status, first.reason) == ("ok", None)
    assert not build(run, "resnet34-int8", "our-hexagon")
    ours.write_text(ours.read_text().replace("launch_us = 1.0", "launch_us = 500.0"))
    assert build(run, "resnet34-int8", "our-hexagon")
    assert _build(run, "int8", "our-hexagon").latency_ms.median > first.latency_ms.median


def test_half_precision_is_said_and_is_nearer_to_float32_than_int8(run):
    half, full = _row(run, "float16"), _row(run, "int8")
    assert half.compute_dtype == "float16"
    assert 0 < half.agreement_float32.rmse < full.agreement_float32.rmse / 5


def test_partial_delegation_is_unsupported_with_the_operation_named(run):
    made, row = _build(run, "dynamic"), _row(run, "dynamic")
    assert row.status == made.status == "unsupported"
    assert row.reason == made.reason
    assert "conv1" in row.reason
    assert made.files == {}
    assert 0 < row.delegated_fraction < 1
    off = [p for p in made.placement if p.runs_on == "cpu"]
    assert (off[0].op, off[0].name) == ("DEPTHWISE_CONV_2D", "conv1")
    assert off[0].reason
    assert off[0].remedy
    assert row.predictions is None


def test_a_compiled_artefact_is_kept_by_content(run, tmp_path, monkeypatch):
    monkeypatch.setenv("BEDSIDE_CACHE", str(tmp_path))
    target = targets.load(CHIP)
    file = layout.variant_dir(run, "resnet34-int8") / "model.tflite"
    first, facts = hexagon._compiled(file, target)
    monkeypatch.setattr(qualcomm, "compile_file", None)
    assert hexagon._compiled(file, target) == (first, facts)
    (first / hexagon.COMPILED).write_bytes(b"other")
    with pytest.raises(TypeError):  # a changed artefact is not used: it compiles again
        hexagon._compiled(file, target)


def test_a_chip_that_does_not_exist_is_a_row_with_the_nearest_name(run):
    folder = run / "targets"
    folder.mkdir(exist_ok=True)
    (folder / "mine.toml").write_text(
        'id = "mine"\nbackend = "hexagon"\nthreads = 1\n[options]\nchip = "SM8560"\n')
    assert build(run, "resnet34-int8", "mine")
    made = _build(run, "int8", "mine")
    assert made.status == "failed"
    assert "unknown Qualcomm chip 'SM8560'" in made.reason
    assert "Did you mean 'SM8" in made.reason
    with pytest.raises(BadInput, match="Did you mean 'sm8650-hexagon'"):
        targets.load("sm865-hexagon", run)


def test_a_compiler_that_takes_too_long_is_a_reason(run):
    file = layout.variant_dir(run, "resnet34-int8") / "model.tflite"
    outcome = subprocess_build.place(file, targets.load(CHIP), timeout_s=0.05)
    assert outcome.status == "failed"
    assert "stopped after 0.05 s" in outcome.reason


def test_two_chips_give_two_artefacts(run):
    file = layout.variant_dir(run, "resnet34-int8") / "model.tflite"
    ours, theirs = (hexagon._compiled(file, targets.load(t))[1]
                    for t in (CHIP, "sm8850-hexagon"))
    assert (ours.arch, theirs.arch) == (75, 81)
    assert ours.soc != theirs.soc


def test_a_file_that_was_not_compiled_whole_gives_no_context(run, tmp_path):
    with pytest.raises(Unsupported, match="in 0 partitions"):
        qnn_context.extract(layout.variant_dir(run, "resnet34-int8") / "model.tflite")
    bad = tmp_path / "x.onnx"
    bad.write_bytes(b"not onnx")
    with pytest.raises(BadInput):
        qnn_context.soc_of(bad)
    with pytest.raises(BadInput, match="no chip is named"):
        hexagon.chip(Target("t", "hexagon"))
