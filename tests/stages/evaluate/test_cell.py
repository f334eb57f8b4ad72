"""Rows of the matrix: what is measured, how it is labelled, what becomes history."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace

import evaluate_fixture
import numpy as np
import pytest
from evaluate_fixture import CONFIG, VARIANTS
from sklearn.metrics import roc_auc_score

from bedside.core import codec
from bedside.core.build import Build
from bedside.core.study import EvaluateConfig
from bedside.runfolder import artefact, layout, stored
from bedside.runfolder.cases import cases_to_csv
from bedside.runtime import grid
from bedside.stages.build import build
from bedside.stages.evaluate import stage

run, measured = evaluate_fixture.run, evaluate_fixture.measured


def test_measurements_say_what_was_measured_and_how(run, measured):
    del measured
    for m in stored.measurements(run):
        assert m.status == "ok"
        assert m.evidence == {"accuracy": "measured", "latency": "measured"}
        assert m.latency_ms.n == CONFIG.rounds * CONFIG.samples
        assert m.latency_ms.threads == 2
        assert 20e6 < m.peak_memory_bytes < 500e6  # a process without torch
        assert m.delegated_fraction == (1.0 if m.scheme == "float32" else 59 / 60)
        assert set(m.metrics["test"]) == {"accuracy", "sensitivity", "specificity", "auroc"}
        n = int((stored.predictions(run, m.variant, "cpu").split == "test").sum())
        assert m.metrics["test"]["accuracy"].n == n


@pytest.fixture(scope="module")
def integer(tiny_quantized, tmp_path_factory):
    """A full-integer variant and float32, measured once."""
    copy = tmp_path_factory.mktemp("integer") / "run"
    shutil.copytree(tiny_quantized, copy)
    pairs = [(f"resnet34-{scheme}", "cpu") for scheme in ("float32", "int8")]
    for name in ("builds", "measurements"):
        shutil.rmtree(copy / name, ignore_errors=True)
    for variant, target in pairs:
        assert build(copy, variant, target)
    stage.evaluate(copy, pairs, EvaluateConfig(rounds=1, warmup=0, samples=1))
    return copy


def test_published_logits_give_the_published_auc_in_sklearn(integer):
    """Nothing but two columns and a subtraction, for integer outputs too."""
    found = {m.scheme: m for m in stored.measurements(integer)}
    assert set(found) == {"float32", "int8"}
    for scheme, m in found.items():
        with np.load(layout.measurement_dir(integer, m.variant, "cpu") / layout.PREDICTIONS
                     ) as data:
            rows = data["split"] == "test"
            logits, labels = data["logits"][rows], data["labels"][rows]
        scores = logits[:, 1].astype(np.float64) - logits[:, 0]
        assert roc_auc_score(labels, scores) == pytest.approx(
            m.metrics["test"]["auroc"].value, abs=1e-12)
        # Integer multiples of one float32 where the output is an integer tensor's.
        assert logits.dtype == (np.float64 if scheme == "int8" else np.float32)
        assert (grid.scale_of(logits.astype(np.float32)) is not None) == (scheme == "int8")


def test_raw_latency_samples_are_kept(run, measured):
    del measured
    for m in stored.measurements(run):
        file = layout.measurement_dir(run, m.variant, "cpu") / layout.LATENCY
        with file.open() as handle:
            rows = list(csv.DictReader(handle))
        assert [(int(r["round"]), int(r["sample"])) for r in rows] == [
            (a, b) for a in range(CONFIG.rounds) for b in range(CONFIG.samples)]
        times = [float(r["ms"]) for r in rows]
        assert m.latency_ms.median == pytest.approx(float(np.median(times)), abs=1e-5)
        assert m.latency_ms.p95 == pytest.approx(float(np.percentile(times, 95)), abs=1e-5)


def test_images_of_one_patient_are_not_independent(run, measured, tmp_path):
    """Who belongs together changes the intervals, so the cell is measured again."""
    del measured
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    pair = [(VARIANTS[0], "cpu")]
    assert stage.evaluate(copy, pair, CONFIG) == []
    task = codec.to_json(stored.task(copy))
    cases = [replace(c, group=f"p{i % 6}") for i, c in enumerate(stored.cases(copy))]
    (layout.data_dir(copy) / "manifest.json").unlink()
    with artefact.writing(layout.data_dir(copy), "data", "grouped") as scratch:
        artefact.write_text(scratch / layout.CASES, cases_to_csv(cases))
        artefact.write_text(scratch / layout.TASK, task)
    assert stage.evaluate(copy, pair, CONFIG) == [f"{VARIANTS[0]}@cpu"]
    before, after = (next(m for m in stored.measurements(r) if m.variant == VARIANTS[0]
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
    (row,) = [m for m in stored.measurements(copy) if m.variant == VARIANTS[1]]
    assert (row.status, row.reason) == ("failed", "the compiler died")
    shelf = copy / "measurements" / ".history" / name
    assert before in [artefact.check(p, "evaluate") for p in shelf.iterdir()]


def test_a_measurement_of_a_variant_made_anew_is_history(run, measured, tmp_path):
    """Another training under the same name must not be shown with the old one's numbers."""
    del measured
    from bedside.core import codec
    from bedside.core.build import Variant

    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    assert VARIANTS[0] in {m.variant for m in stored.measurements(copy)}
    folder = layout.variant_dir(copy, VARIANTS[0])
    variant = codec.read_json(Variant, folder / layout.VARIANT)
    with artefact.writing(folder, "quantize", "anew") as scratch:
        (scratch / "model.tflite").write_bytes((folder / "model.tflite").read_bytes())
        artefact.write_text(scratch / layout.VARIANT, codec.to_json(
            replace(variant, sha256="0" * 64)))
    assert VARIANTS[0] not in {m.variant for m in stored.measurements(copy)}
    assert VARIANTS[1] in {m.variant for m in stored.measurements(copy)}
