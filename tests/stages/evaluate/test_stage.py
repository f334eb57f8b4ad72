"""Cells in fresh processes: the same logits, raw latencies kept, faults as rows."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from types import SimpleNamespace

import evaluate_fixture
import numpy as np
import pytest
from evaluate_fixture import CONFIG, VARIANTS

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.protocol import Opened
from bedside.core.study import EvaluateConfig, ModelConfig, Study
from bedside.core.types import Case
from bedside.runfolder import artefact, layout, ledger, protocol, protocol_file, stored
from bedside.runtime.litert import LiteRTModel
from bedside.runtime.worker import JobResult
from bedside.stages.evaluate import stage
from bedside.stages.evaluate.cell import Outcome

run, measured = evaluate_fixture.run, evaluate_fixture.measured


def test_the_workers_logits_are_the_bare_loops(run, measured):
    assert measured[0] == [f"{v}@cpu" for v in VARIANTS]
    for variant in VARIANTS:
        predictions = stored.predictions(run, variant, "cpu")
        model = LiteRTModel(layout.variant_dir(run, variant) / "model.tflite", 2)
        with stored.pixel_store(run, stored.model_spec(run, "resnet34").preprocess) as store:
            bare = np.stack([model.run(store.tensor(str(i)))["logits"][0]
                             for i in predictions.ids])
        np.testing.assert_array_equal(predictions.logits, bare)
        assert set(predictions.split) == {"val", "test"}


def test_an_operation_off_the_delegate_is_named_with_the_reason(run, measured):
    """XNNPACK has no dynamic-range depthwise convolution: the grey stem stays with LiteRT."""
    del measured
    off = {b.variant: [p for p in b.placement if p.runs_on != "xnnpack" and p.op != "RESHAPE"]
           for b in stored.builds(run)}
    assert off["resnet34-float32"] == []
    (stem,) = off["resnet34-dynamic"]
    assert (stem.op, stem.name) == ("DEPTHWISE_CONV_2D", "conv1")
    assert "float32×int8" in stem.reason


def test_rounds_visit_every_cell_in_an_order_of_their_own(monkeypatch):
    """A machine that warms up or slows down must not favour the cell that always comes first."""
    names = ("a", "b", "c", "d")
    cells = [SimpleNamespace(name=n, sampling=lambda config: (config.rounds, 0, 1))
             for n in names]
    monkeypatch.setattr(stage, "_job", lambda run, cell, *rest: cell.name)

    def orders():
        seen = []

        def launch(cell, *rest):
            seen.append(cell.name)
            return JobResult(samples_ms=(1.0,))

        monkeypatch.setattr(stage, "_launch", launch)
        found = {n: Outcome() for n in names}
        stage._latencies(None, cells, EvaluateConfig(rounds=6),
                         [Case("c0", "0.png", "benign")], found, None)
        assert all([r for r, _, _ in f.samples] == list(range(6)) for f in found.values())
        return [tuple(seen[i:i + 4]) for i in range(0, 24, 4)]

    rounds = orders()
    assert all(sorted(r) == list(names) for r in rounds)
    assert len({r[0] for r in rounds}) > 1
    assert len({r[-1] for r in rounds}) > 1
    assert orders() == rounds


def _predicted(run):
    return {v: artefact.record(layout.measurement_dir(run, v, "cpu"), "predict").facts
            for v in VARIANTS}


def test_each_cell_s_opening_stands_in_the_ledger_before_its_predictions(run, measured, tmp_path):
    """And the manifest names the protocol, or says that there was none."""
    assert _predicted(run) == {v: {"protocol": "none"} for v in VARIANTS}
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "measurements")
    config = Study(models=(ModelConfig("resnet34"),), schemes=("float32", "dynamic"))
    artefact.write_text(layout.study_file(copy), codec.to_toml(config))
    sha256 = protocol_file.lock(copy, protocol_file.compose(copy, config), "a test")
    cells = [(v, "cpu") for v in VARIANTS]
    stage.evaluate(copy, cells, CONFIG)
    assert _predicted(copy) == {v: {"protocol": sha256} for v in VARIANTS}
    openings = [o for _, o in ledger.of(ledger.read(copy), Opened)]
    tests = sum(c.split == "test" for c in stored.cases(copy))
    assert [(o.stage, o.subject, o.test_images) for o in openings] == [
        ("evaluate", f"{v}@cpu", tests) for v in VARIANTS]
    for v, o in zip(VARIANTS, openings, strict=True):
        path = layout.measurement_dir(copy, v, "cpu") / layout.PREDICTIONS
        assert o.predictions == {f"{v}@cpu": artefact.sha256_file(path)}
    assert protocol.standing(copy, config).changes == ()
    stage.evaluate(copy, cells, CONFIG)
    assert len(ledger.read(copy)) == 3  # nothing was predicted again


def test_validation_images_open_nothing(run, measured, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "measurements")
    config = Study(models=(ModelConfig("resnet34"),), schemes=("float32",))
    artefact.write_text(layout.study_file(copy), codec.to_toml(config))
    protocol_file.lock(copy, protocol_file.compose(copy, config), "a test")
    stage.evaluate(copy, [(VARIANTS[0], "cpu")], replace(CONFIG, splits=("val",)))
    assert [e.kind for e in ledger.read(copy)] == ["locked"]
    assert not protocol.standing(copy, config).opened


def test_a_changed_build_is_refused_before_it_is_loaded(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    file = layout.build_dir(copy, VARIANTS[0], "cpu") / "model.tflite"
    data = bytearray(file.read_bytes())
    data[-100] ^= 1
    file.write_bytes(data)
    with pytest.raises(BadInput, match="differs from the hash"):
        stage.evaluate(copy, [(VARIANTS[0], "cpu")], EvaluateConfig(rounds=1, samples=1))


def _crashing(file, threads):
    import os
    import signal

    os.kill(os.getpid(), signal.SIGSEGV)


def _nan(file, threads):
    class Runner:
        def run(self, image):
            return {"logits": np.full((1, 2), np.nan, np.float32)}

    return Runner()


@pytest.mark.parametrize(("runner", "reason"), [(_crashing, "SIGSEGV"), (_nan, "not finite")])
def test_a_crash_is_a_row_with_its_reason_and_the_others_stand(run, tmp_path, monkeypatch,
                                                                runner, reason):
    """Native code that dies takes its own worker with it, nothing else."""
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    module = tmp_path / "bad_runner.py"
    import inspect

    module.write_text("import numpy as np\n" + inspect.getsource(runner).replace(
        runner.__name__, "start"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    original = stage._job

    def job(run_, cell, *rest):
        made = original(run_, cell, *rest)
        return replace(made, runner="bad_runner:start") if "dynamic" in cell.name else made

    monkeypatch.setattr(stage, "_job", job)
    config = EvaluateConfig(rounds=1, warmup=0, samples=2)
    shutil.rmtree(copy / "measurements", ignore_errors=True)
    stage.evaluate(copy, [(v, "cpu") for v in VARIANTS], config)
    rows = {m.variant: m for m in stored.measurements(copy)}
    assert rows[VARIANTS[0]].status == "ok"
    bad = rows[VARIANTS[1]]
    assert bad.status == "failed"
    assert reason in bad.reason
    assert bad.latency_ms is None
    assert bad.metrics == {}


def test_a_sample_and_an_option_to_skip_latency_show_in_the_measurement(run, tmp_path):
    """``--images``: fewer images, every class in every split, n in every interval."""
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "measurements", ignore_errors=True)
    config = EvaluateConfig(rounds=1, warmup=0, samples=2, images=8)
    stage.evaluate(copy, [(VARIANTS[0], "cpu")], config)
    (m,) = stored.measurements(copy)
    assert (m.images, m.images_total) == (8, 20)
    assert m.metrics["val"]["accuracy"].n + m.metrics["test"]["accuracy"].n == 8
    predictions = stored.predictions(copy, VARIANTS[0], "cpu")
    assert {(str(s), int(y)) for s, y in zip(predictions.split, predictions.labels, strict=True)
            } == {(s, y) for s in ("val", "test") for y in (0, 1)}


def test_a_worker_that_hangs_is_a_row_and_the_other_cell_stands(run, tmp_path, monkeypatch):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "measurements", ignore_errors=True)
    (tmp_path / "slow_runner.py").write_text(
        "import time\ndef start(file, threads):\n    time.sleep(600)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    original = stage._job

    def job(run_, cell, *rest):
        made = original(run_, cell, *rest)
        return replace(made, runner="slow_runner:start") if "dynamic" in cell.name else made

    monkeypatch.setattr(stage, "_job", job)
    config = EvaluateConfig(rounds=1, warmup=0, samples=2, timeout_s=10)
    stage.evaluate(copy, [(v, "cpu") for v in VARIANTS], config)
    rows = {m.variant: m for m in stored.measurements(copy)}
    assert rows[VARIANTS[0]].status == "ok"
    assert rows[VARIANTS[1]].status == "failed"
    assert "stopped after 10 s" in rows[VARIANTS[1]].reason


@pytest.mark.parametrize("harm", [lambda p: p.write_bytes(p.read_bytes()[:50]),
                                  lambda p: p.write_bytes(p.read_bytes()[:-1] + b"x"),
                                  lambda p: p.unlink()])
def test_predictions_that_were_damaged_are_made_anew(run, measured, tmp_path, harm):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    path = layout.measurement_dir(copy, VARIANTS[1], "cpu") / layout.PREDICTIONS
    before = artefact.sha256_file(path)
    harm(path)
    with pytest.raises(BadInput, match=r"predictions\.npz"):
        stored.predictions(copy, VARIANTS[1], "cpu")
    assert stage.evaluate(copy, [(VARIANTS[1], "cpu")], CONFIG) == ["resnet34-dynamic@cpu"]
    assert artefact.sha256_file(path) == before
