"""Which images a calibration looks at."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bedside.core import codec, registry
from bedside.core.calibration import Calibration
from bedside.core.errors import BadInput
from bedside.core.study import CalibrationConfig
from bedside.runfolder import layout
from bedside.selection import CHOICES, Pool
from bedside.stages import calibrate

RNG = np.random.default_rng(3)
IDS = tuple(f"c{i:03d}" for i in range(60))
LABELS = tuple("malignant" if i % 4 == 0 else "benign" for i in range(60))
ROWS = RNG.normal(size=(60, 5)).astype(np.float32)


def _pick(name, count, seed=0, rows=ROWS, ids=IDS, labels=LABELS):
    return registry.lookup(CHOICES, name, "choice")(Pool(ids, labels, lambda: rows), count, seed)


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_is_seeded_without_repeats_and_grows_at_its_end(name):
    chosen = _pick(name, 20)
    assert len(set(chosen)) == 20 and set(chosen) <= set(IDS)
    assert chosen == _pick(name, 20) == _pick(name, 40)[:20]
    assert chosen != _pick(name, 20, seed=1)
    assert set(_pick(name, 1000)) == set(IDS)


def test_stratified_holds_every_class_in_its_share():
    for count in range(1, 61):
        drawn = [LABELS[IDS.index(i)] for i in _pick("stratified", count)]
        assert abs(drawn.count("malignant") - count / 4) <= 1


def _radius(rows, chosen):
    distance = np.linalg.norm(rows[:, None] - rows[None, list(chosen)], axis=2)
    return distance.min(axis=1).max()


def test_coverage_is_within_twice_the_smallest_radius_possible():
    rows = RNG.normal(size=(12, 2)).astype(np.float32)
    spread = (rows - rows.mean(0)) / rows.std(0)
    ids, labels = IDS[:12], LABELS[:12]
    for count in (2, 3, 4):
        best = min(_radius(spread, c) for c in itertools.combinations(range(12), count))
        for seed in range(5):
            chosen = [ids.index(i) for i in _pick("coverage", count, seed, rows, ids, labels)]
            assert _radius(spread, chosen) <= 2 * best + 1e-6


def test_coverage_copes_with_images_that_are_alike():
    assert len(set(_pick("coverage", 30, rows=np.zeros((60, 5), np.float32)))) == 30


@pytest.mark.parametrize("name", CHOICES)
def test_only_training_images_are_ever_chosen_and_their_ids_recorded(tiny_run, name):
    folder = calibrate.calibrate(tiny_run, "resnet34", CalibrationConfig(images=6, choice=name))
    facts = codec.read_json(Calibration, folder / layout.CALIBRATION)
    split = {c.id: c.split for c in layout.cases(tiny_run)}
    assert len(facts.ids) == 6 and {split[i] for i in facts.ids} == {"train"}


@pytest.mark.parametrize(("config", "message"), [
    (CalibrationConfig(estimator="percentil"), "Did you mean 'percentile'"),
    (CalibrationConfig(choice="covering"), "Did you mean 'coverage'"),
    (CalibrationConfig(images=0), "at least one image")])
def test_what_cannot_work_is_refused(tiny_run, config, message):
    with pytest.raises(BadInput, match=message):
        calibrate.calibrate(tiny_run, "resnet34", config)
