"""The budget search and the calibration study."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace

import outliers
import pytest

from bedside import schemes
from bedside.core import codec
from bedside.core.build import Variant
from bedside.core.errors import BadInput
from bedside.core.study import CalibrationConfig
from bedside.flows import variants
from bedside.flows.search import budget
from bedside.runfolder import layout, stored
from bedside.runtime.graph import read_graph
from bedside.schemes.layers import layers

MIXED = schemes.parse("mixed+searched")
CONFIG = CalibrationConfig(images=30)
BUDGET = budget.Budget(auroc_loss=0.02, sensitivity_loss=0.08, specificity_loss=0.08, flips=0.06)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return outliers.write_outlier_run(tmp_path_factory.mktemp("search") / "run")


@pytest.fixture(scope="module")
def found(run):
    return budget.search(run, outliers.MODEL, MIXED, CONFIG, BUDGET)


def test_the_search_rescues_the_network_with_an_outlier_channel(run, found):
    assert not BUDGET.holds(found.int8, found.float32)
    assert found.within and BUDGET.holds(found.score, found.float32)
    assert {"conv1", "conv2"} <= set(found.kept) < {x.name for x in layers(read_graph(
        layout.model_dir(run, outliers.MODEL) / layout.FLOAT_MODEL))}
    variants.make(run, outliers.MODEL, MIXED, CONFIG)
    folder = layout.variant_dir(run, f"{outliers.MODEL}-mixed+searched")
    full = outliers.auroc(run, layout.model_dir(run, outliers.MODEL) / layout.FLOAT_MODEL)
    assert outliers.auroc(run, folder / layout.VARIANT_MODEL) > full - 0.03
    formats = codec.read_json(Variant, folder / layout.VARIANT).ops_by_dtype
    assert "float32" in formats and "int8" in formats


def test_every_evaluation_is_logged_and_the_recipe_is_data(run, found):
    folder = layout.search_dir(run, outliers.MODEL)
    with (folder / budget.EVALUATIONS).open() as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == found.evaluations >= 2 * found.layers
    assert stored.mixture(run, outliers.MODEL).kept == found.kept
    with (folder / budget.LAYERS).open() as handle:
        table = {r["layer"]: r for r in csv.DictReader(handle)}
    assert len(table) == found.layers
    assert float(table["conv1"]["alone_damage"]) > float(table["conv3"]["alone_damage"])


def test_a_search_that_was_stopped_goes_on_and_ends_the_same(run, found, monkeypatch, tmp_path):
    other = tmp_path / "run"
    shutil.copytree(run, other)
    shutil.rmtree(layout.search_dir(other, outliers.MODEL))
    real, calls = budget.CandidateScorer.score, []

    def stops(self, data):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return real(self, data)

    monkeypatch.setattr(budget.CandidateScorer, "score", stops)
    with pytest.raises(KeyboardInterrupt):
        budget.search(other, outliers.MODEL, MIXED, CONFIG, BUDGET)
    before = len(calls)
    again = budget.search(other, outliers.MODEL, MIXED, CONFIG, BUDGET)
    assert again.kept == found.kept
    assert len(calls) - before < found.evaluations


@pytest.mark.parametrize("cut", [2, 9])
def test_a_search_killed_in_the_middle_of_a_line_goes_on(run, found, monkeypatch, tmp_path, cut):
    """Cut after the inner bracket (2), or inside a number: no newline at the end either way."""
    other = tmp_path / "run"
    shutil.copytree(run, other)
    shutil.rmtree(layout.search_dir(other, outliers.MODEL))
    real, left = budget.CandidateScorer.score, [5]

    def stops(self, data):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return real(self, data)

    monkeypatch.setattr(budget.CandidateScorer, "score", stops)

    def search():
        return budget.search(other, outliers.MODEL, MIXED, CONFIG, BUDGET)

    with pytest.raises(KeyboardInterrupt):
        search()
    [cache] = other.rglob(budget._CACHE)
    whole = cache.read_text()
    judged = len(whole.splitlines())
    cache.write_text(whole[:-cut])
    left[0] = 3  # the float model first
    with pytest.raises(KeyboardInterrupt):
        search()
    # The torn line is made again, and a line of its own holds each that came after it.
    lines = cache.read_text().splitlines()
    assert len(lines) == judged + 2
    assert [budget._record(x) is None for x in lines].count(True) == 1
    left[0] = 1000
    assert search().kept == found.kept
    assert 1000 - left[0] == 1 + found.evaluations - (judged + 1)


def test_the_fastest_mixture_is_the_one_measured_fastest(run, found, tmp_path):
    other = tmp_path / "run"
    shutil.copytree(run, other)
    wanted = replace(BUDGET, goal="fastest")
    fast = budget.search(other, outliers.MODEL, MIXED, CONFIG, wanted)
    assert fast.within and 3 <= len(fast.timed) <= budget.SHORTLIST + 3
    assert all(0 < t.low_ms <= t.ms <= t.high_ms for t in fast.timed)
    every = tuple(x.name for x in layers(read_graph(
        layout.model_dir(run, outliers.MODEL) / layout.FLOAT_MODEL)))
    assert {(), every, found.kept} <= {t.kept for t in fast.timed}
    best = min((t for t in fast.timed if t.kept), key=lambda t: t.ms)  # int8 misses the budget
    taken = next(t for t in fast.timed if t.kept == fast.kept)
    assert taken.ms <= best.ms * (1 + budget.SAME_SPEED) or taken.low_ms <= best.high_ms
    assert budget.search(other, outliers.MODEL, MIXED, CONFIG, wanted) == fast


@pytest.mark.parametrize(("change", "message"), [
    ({"auroc_loss": -0.1}, r"must be in \[0, 1\)"), ({"flips": 1.5}, r"must be in \[0, 1\)"),
    ({"sensitivity_loss": float("nan")}, r"must be in \[0, 1\)"),
    ({"goal": "best"}, "unknown goal")])
def test_margins_that_make_no_sense_are_refused(run, change, message):
    with pytest.raises(BadInput, match=message):
        budget.search(run, outliers.MODEL, MIXED, CONFIG, replace(BUDGET, **change))


def test_what_cannot_be_computed_passes_no_budget():
    fine = {"auroc": 0.9, "sensitivity": 0.9, "specificity": 0.9, "auroc_low": -0.05,
            "sensitivity_low": -0.05, "specificity_low": -0.05, "flips": 0, "images": 40,
            "logit_shift": 0.0, "logit_damage": 0.0, "size_bytes": 1, "ms": 1.0}
    reference = budget.Score(**fine)
    assert BUDGET.holds(reference, reference)
    assert not BUDGET.holds(replace(reference, specificity_low=None), reference)
    assert not BUDGET.holds(replace(reference, auroc_low=-1.0), reference)
    # Several classes have no specificity, on either side.
    macro = replace(reference, specificity=None, specificity_low=None)
    assert BUDGET.holds(macro, macro)
