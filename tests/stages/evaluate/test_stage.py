"""Cells in fresh processes: the same logits, raw latencies kept, faults as rows."""

from __future__ import annotations

import csv
import os
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from bedside import schemes
from bedside.core import codec
from bedside.core.build import Build
from bedside.core.errors import BadInput
from bedside.core.study import EvaluateConfig
from bedside.core.types import Case
from bedside.runfolder import artefact, layout
from bedside.runfolder.cases import cases_to_csv
from bedside.runtime.launch import run_worker
from bedside.runtime.litert import LiteRTModel
from bedside.runtime.worker import JobResult
from bedside.stages import quantize
from bedside.stages.build import build
from bedside.stages.evaluate import stage
from bedside.stages.evaluate.cell import Outcome

CONFIG = EvaluateConfig(rounds=2, warmup=1, samples=3)
VARIANTS = ("resnet34-float32", "resnet34-dynamic")


@pytest.fixture(scope="module")
def run(tiny_run, tmp_path_factory):
    copy = tmp_path_factory.mktemp("evaluate") / "run"
    shutil.copytree(tiny_run, copy)
    # Other tests of this session build and measure in the shared run; this copy starts bare.
    for name in ("variants", "builds", "measurements"):
        shutil.rmtree(copy / name, ignore_errors=True)
    for scheme in ("float32", "dynamic"):
        quantize.quantize(copy, "resnet34", schemes.parse(scheme), None, None)
    for variant in VARIANTS:
        assert build(copy, variant, "cpu")
        assert not build(copy, variant, "cpu")
    return copy


@pytest.fixture(scope="module")
def measured(run):
    said = []
    done = stage.evaluate(run, [(v, "cpu") for v in VARIANTS], CONFIG,
                          lambda *a: said.append(a))
    return done, said


def test_the_workers_logits_are_the_bare_loops(run, measured):
    assert measured[0] == [f"{v}@cpu" for v in VARIANTS]
    for variant in VARIANTS:
        predictions = layout.predictions(run, variant, "cpu")
        model = LiteRTModel(layout.variant_dir(run, variant) / "model.tflite", 2)
        with layout.pixel_store(run, layout.model_spec(run, "resnet34").preprocess) as store:
            bare = np.stack([model.run(store.tensor(str(i)))["logits"][0]
                             for i in predictions.ids])
        np.testing.assert_array_equal(predictions.logits, bare)
        assert set(predictions.split) == {"val", "test"}


def test_measurements_say_what_was_measured_and_how(run, measured):
    del measured
    for m in layout.measurements(run):
        assert m.status == "ok"
        assert m.evidence == {"accuracy": "measured", "latency": "measured"}
        assert m.latency_ms.n == CONFIG.rounds * CONFIG.samples
        assert m.latency_ms.threads == 2
        assert 20e6 < m.peak_memory_bytes < 500e6  # a process without torch
        assert m.delegated_fraction == (1.0 if m.scheme == "float32" else 59 / 60)
        assert set(m.metrics["test"]) == {"accuracy", "sensitivity", "specificity", "auroc"}
        n = int((layout.predictions(run, m.variant, "cpu").split == "test").sum())
        assert m.metrics["test"]["accuracy"].n == n


def test_an_operation_off_the_delegate_is_named_with_the_reason(run, measured):
    """XNNPACK has no dynamic-range depthwise convolution: the grey stem stays with LiteRT."""
    del measured
    off = {b.variant: [p for p in b.placement if p.runs_on != "xnnpack" and p.op != "RESHAPE"]
           for b in layout.builds(run)}
    assert off["resnet34-float32"] == []
    (stem,) = off["resnet34-dynamic"]
    assert (stem.op, stem.name) == ("DEPTHWISE_CONV_2D", "conv1")
    assert "float32×int8" in stem.reason


def test_raw_latency_samples_are_kept(run, measured):
    del measured
    for m in layout.measurements(run):
        file = layout.measurement_dir(run, m.variant, "cpu") / layout.LATENCY
        with file.open() as handle:
            rows = list(csv.DictReader(handle))
        assert [(int(r["round"]), int(r["sample"])) for r in rows] == [
            (a, b) for a in range(CONFIG.rounds) for b in range(CONFIG.samples)]
        times = [float(r["ms"]) for r in rows]
        assert m.latency_ms.median == pytest.approx(float(np.median(times)), abs=1e-5)
        assert m.latency_ms.p95 == pytest.approx(float(np.percentile(times, 95)), abs=1e-5)


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


def test_images_of_one_patient_are_not_independent(run, measured, tmp_path):
    """Who belongs together changes the intervals, so the cell is measured again."""
    del measured
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    pair = [(VARIANTS[0], "cpu")]
    assert stage.evaluate(copy, pair, CONFIG) == []
    task = codec.to_json(layout.task(copy))
    cases = [replace(c, group=f"p{i % 6}") for i, c in enumerate(layout.cases(copy))]
    (layout.data_dir(copy) / "manifest.json").unlink()
    with artefact.writing(layout.data_dir(copy), "data", "grouped") as scratch:
        artefact.write_text(scratch / layout.CASES, cases_to_csv(cases))
        artefact.write_text(scratch / layout.TASK, task)
    assert stage.evaluate(copy, pair, CONFIG) == [f"{VARIANTS[0]}@cpu"]
    before, after = (next(m for m in layout.measurements(r) if m.variant == VARIANTS[0]
                          ).metrics["test"] for r in (run, copy))
    for name, own in after.items():
        assert own.value == before[name].value and own.n == before[name].n
        assert own.high - own.low > before[name].high - before[name].low


def test_a_finished_cell_is_left_alone_and_a_new_one_keeps_the_old(run, measured):
    del measured
    pairs = [(VARIANTS[0], "cpu")]
    assert stage.evaluate(run, pairs, CONFIG) == []
    other = EvaluateConfig(rounds=1, warmup=0, samples=2)
    assert stage.evaluate(run, pairs, other) == [f"{VARIANTS[0]}@cpu"]
    kept = run / "measurements" / ".history" / f"{VARIANTS[0]}@cpu" / "0001"
    assert artefact.check(kept, "evaluate")


def test_a_build_that_fails_now_does_not_erase_what_was_measured(run, measured, tmp_path):
    del measured
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    name = f"{VARIANTS[1]}@cpu"
    before = artefact.check(copy / "measurements" / name, "evaluate")
    with artefact.writing(layout.build_dir(copy, VARIANTS[1], "cpu"), "build", "anew") as scratch:
        artefact.write_text(scratch / layout.BUILD, codec.to_json(Build(
            VARIANTS[1], "cpu", "none", {}, "none", status="failed", reason="the compiler died")))
    assert stage.evaluate(copy, [(VARIANTS[1], "cpu")], CONFIG) == [name]
    (row,) = [m for m in layout.measurements(copy) if m.variant == VARIANTS[1]]
    assert (row.status, row.reason) == ("failed", "the compiler died")
    shelf = copy / "measurements" / ".history" / name
    assert before in [artefact.check(p, "evaluate") for p in shelf.iterdir()]


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
    rows = {m.variant: m for m in layout.measurements(copy)}
    assert rows[VARIANTS[0]].status == "ok"
    bad = rows[VARIANTS[1]]
    assert bad.status == "failed"
    assert reason in bad.reason
    assert bad.latency_ms is None
    assert bad.metrics == {}


def test_memory_does_not_grow_with_the_number_of_images(run, tmp_path):
    from bedside.runtime.worker import Job

    folder = layout.variant_dir(run, VARIANTS[0])
    preprocess = layout.model_spec(run, "resnet34").preprocess
    with layout.pixel_store(run, preprocess) as store:
        ids = store.ids
    peaks = []
    for count in (40, 8000):
        job = Job("predict", "bedside.runtime.litert:LiteRTModel", str(folder / "model.tflite"),
                  artefact.sha256_file(folder / "model.tflite"), 2,
                  str(layout.cache_dir(run, preprocess)),
                  tuple(ids[i % len(ids)] for i in range(count)), str(tmp_path / "r.json"))
        result = run_worker(job, tmp_path)
        assert result.fault is None
        assert np.load(tmp_path / "r.json.npy").shape == (count, 2)
        peaks.append(result.peak_memory_bytes)
    # 8,000 images of this size are 8 MB as bytes and 33 MB as tensors; ids and logits are 1 MB.
    assert peaks[1] - peaks[0] < 6e6


def test_a_measurement_of_a_variant_made_anew_is_history(run, measured, tmp_path):
    """Another training under the same name must not be shown with the old one's numbers."""
    del measured
    from bedside.core import codec
    from bedside.core.build import Variant

    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    assert VARIANTS[0] in {m.variant for m in layout.measurements(copy)}
    folder = layout.variant_dir(copy, VARIANTS[0])
    variant = codec.read_json(Variant, folder / layout.VARIANT)
    with artefact.writing(folder, "quantize", "anew") as scratch:
        (scratch / "model.tflite").write_bytes((folder / "model.tflite").read_bytes())
        artefact.write_text(scratch / layout.VARIANT, codec.to_json(
            replace(variant, sha256="0" * 64)))
    assert VARIANTS[0] not in {m.variant for m in layout.measurements(copy)}
    assert VARIANTS[1] in {m.variant for m in layout.measurements(copy)}


def test_a_sample_and_an_option_to_skip_latency_show_in_the_measurement(run, tmp_path):
    """``--images``: fewer images, every class in every split, n in every interval."""
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "measurements", ignore_errors=True)
    config = EvaluateConfig(rounds=1, warmup=0, samples=2, images=8)
    stage.evaluate(copy, [(VARIANTS[0], "cpu")], config)
    (m,) = layout.measurements(copy)
    assert (m.images, m.images_total) == (8, 20)
    assert m.metrics["val"]["accuracy"].n + m.metrics["test"]["accuracy"].n == 8
    predictions = layout.predictions(copy, VARIANTS[0], "cpu")
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
    rows = {m.variant: m for m in layout.measurements(copy)}
    assert rows[VARIANTS[0]].status == "ok"
    assert rows[VARIANTS[1]].status == "failed"
    assert "stopped after 10 s" in rows[VARIANTS[1]].reason


def test_a_time_budget_keeps_what_was_predicted_in_time(run, tmp_path):
    from bedside.runtime.worker import Job

    folder = layout.variant_dir(run, VARIANTS[0])
    preprocess = layout.model_spec(run, "resnet34").preprocess
    with layout.pixel_store(run, preprocess) as store:
        ids = tuple(store.ids)
    job = Job("predict", "bedside.runtime.litert:LiteRTModel", str(folder / "model.tflite"),
              artefact.sha256_file(folder / "model.tflite"), 1,
              str(layout.cache_dir(run, preprocess)), ids, str(tmp_path / "r.json"), budget_s=0.0)
    assert run_worker(job, tmp_path).fault is None
    assert np.load(tmp_path / "r.json.npy").shape == (1, 2)
    beside = replace(job, beside={str(folder / layout.RECIPE): "0" * 64})
    assert "differs from the hash" in run_worker(beside, tmp_path).fault


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
        layout.predictions(copy, VARIANTS[1], "cpu")
    assert stage.evaluate(copy, [(VARIANTS[1], "cpu")], CONFIG) == ["resnet34-dynamic@cpu"]
    assert artefact.sha256_file(path) == before
