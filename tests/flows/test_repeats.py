"""The units of a study's repeats, and what makes no sense."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bedside.core.errors import BadInput
from bedside.core.study import (
    FloatModelConfig,
    ModelConfig,
    QuantizedModelConfig,
    RepeatsConfig,
    Study,
)
from bedside.flows import repeats
from bedside.flows.resolve import Flags, resolve

STUDY = Study(models=(ModelConfig("resnet34"),), seed=7, repeats=RepeatsConfig(2))


def test_each_kind_of_draw_is_repeated():
    assert [u.name for u in repeats.units(STUDY)] == [
        "seed-1", "seed-2", "split-1", "split-2", "calibration-1", "calibration-2"]
    folds = repeats.units(replace(STUDY, repeats=RepeatsConfig(2, 3)))
    assert [u.name for u in folds if u.draw == "split"] == [
        f"split-{r}-fold-{f}" for r in (1, 2) for f in (1, 2, 3)]
    assert repeats.units(replace(STUDY, repeats=RepeatsConfig())) == ()


def test_one_thing_is_drawn_again_and_the_rest_stays():
    seed, split, calibration = (next(u for u in repeats.units(STUDY) if u.draw == d)
                                for d in ("seed", "split", "calibration"))
    base = repeats.configured(STUDY, split)
    assert (base.seed, base.calibration) == (STUDY.seed, STUDY.calibration)
    other = repeats.configured(STUDY, seed)
    assert other.seed != STUDY.seed
    assert replace(other, seed=STUDY.seed) == base
    drawn = repeats.configured(STUDY, calibration)
    assert drawn.seed == STUDY.seed
    assert replace(drawn, calibration=STUDY.calibration) == base
    assert base.evaluate.rounds == 0  # no unit is timed
    assert base.repeats == RepeatsConfig()  # nor repeated itself


def test_what_cannot_be_repeated_is_left_out_and_said():
    outside = Study(float_model=FloatModelConfig("m.tflite"), repeats=RepeatsConfig(2))
    assert {u.draw for u in repeats.units(outside)} == {"calibration"}
    assert "cannot be trained again" in repeats.notes(outside)[0]
    judged = replace(STUDY, quantized_model=QuantizedModelConfig("q.tflite"))
    assert all(repeats.configured(judged, u).quantized_model is None for u in repeats.units(judged))
    assert "it was not repeated" in repeats.notes(judged)[0]
    plain = replace(STUDY, schemes=("float32", "float16"))
    assert {u.draw for u in repeats.units(plain)} == {"seed", "split"}
    searched = replace(STUDY, schemes=("float32", "mixed+searched"),
                       targets=("cpu", "sm8650-hexagon"))
    assert repeats.configured(searched, repeats.units(searched)[0]).schemes == ("float32",)
    assert repeats.configured(searched, repeats.units(searched)[0]).targets == ("cpu",)
    assert len(repeats.notes(searched)) == 2


@pytest.mark.parametrize(("config", "fault"), [
    (RepeatsConfig(-1), "-1 repeats"), (RepeatsConfig(1000), "1000 repeats"),
    (RepeatsConfig(1, 1), "1 folds"), (RepeatsConfig(0, 5), "5 folds of 0 repeats"),
    (RepeatsConfig(1, -3), "-3 folds")])
def test_senseless_numbers_are_refused(config, fault):
    with pytest.raises(BadInput, match=fault):
        repeats.check(replace(STUDY, repeats=config))


def test_nothing_to_repeat_is_refused():
    study = Study(float_model=FloatModelConfig("m.tflite"), schemes=("float32",),
                  repeats=RepeatsConfig(2))
    with pytest.raises(BadInput, match="nothing to repeat"):
        repeats.check(study)


@pytest.mark.parametrize(("flags", "want"), [
    ({}, RepeatsConfig()), ({"repeats": 3}, RepeatsConfig(3)),
    ({"folds": 5}, RepeatsConfig(1, 5)), ({"repeats": 2, "folds": 4}, RepeatsConfig(2, 4))])
def test_flags_become_the_studys_repeats(tmp_path, flags, want):
    assert resolve(None, Flags(preset="demo", **flags)).repeats == want
