"""Workers started by the test itself: memory, time budget, verified files."""

from __future__ import annotations

from dataclasses import replace

import evaluate_fixture
import numpy as np
from evaluate_fixture import VARIANTS

from bedside.runfolder import artefact, layout, stored
from bedside.runtime.launch import run_worker

run, measured = evaluate_fixture.run, evaluate_fixture.measured


def test_memory_does_not_grow_with_the_number_of_images(run, tmp_path):
    from bedside.runtime.worker import Job

    folder = layout.variant_dir(run, VARIANTS[0])
    preprocess = stored.model_spec(run, "resnet34").preprocess
    with stored.pixel_store(run, preprocess) as store:
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


def test_a_time_budget_keeps_what_was_predicted_in_time(run, tmp_path):
    from bedside.runtime.worker import Job

    folder = layout.variant_dir(run, VARIANTS[0])
    preprocess = stored.model_spec(run, "resnet34").preprocess
    with stored.pixel_store(run, preprocess) as store:
        ids = tuple(store.ids)
    job = Job("predict", "bedside.runtime.litert:LiteRTModel", str(folder / "model.tflite"),
              artefact.sha256_file(folder / "model.tflite"), 1,
              str(layout.cache_dir(run, preprocess)), ids, str(tmp_path / "r.json"), budget_s=0.0)
    assert run_worker(job, tmp_path).fault is None
    assert np.load(tmp_path / "r.json.npy").shape == (1, 2)
    beside = replace(job, beside={str(folder / layout.RECIPE): "0" * 64})
    assert "differs from the hash" in run_worker(beside, tmp_path).fault
