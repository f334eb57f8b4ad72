"""Tuning: recorded trials, the best one, resumed where it stopped."""

from dataclasses import replace

import pytest
from train_fixture import NET, STUDY, make_run, published

from bedside.core import codec
from bedside.runfolder import layout
from bedside.stages.train.stage import train
from bedside.stages.train.tune import tune


@pytest.mark.slow
def test_tuning_records_its_trials_and_goes_on_where_it_stopped(tmp_path):
    study = replace(STUDY, train=replace(STUDY.train, tune=3))
    whole, stopped = make_run(tmp_path / "whole"), make_run(tmp_path / "stopped")
    train(whole, study, NET)
    tuning = codec.parse_json((layout.model_dir(whole, "resnet34") / "tune.json").read_text(), "")
    assert len(tuning["trials"]) == 3 and tuning["epochs"] == 1
    scores = [t["val_auroc"] for t in tuning["trials"]]
    assert scores[tuning["chosen"]] == max(scores)
    assert tuning["trials"][0]["learning_rate"] == NET.learning_rate

    def stop(stage, done, total, text=""):
        if "trial 3" in stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(stopped, study, NET, stop)
    seen = []
    train(stopped, study, NET, lambda stage, *rest: seen.append(stage))
    assert not any("trial 1" in s or "trial 2" in s for s in seen)
    assert published(stopped) == published(whole)


@pytest.mark.parametrize(("scores", "best"), [((0.9, 0.5, 0.6), 0), ((0.5, 0.9, 0.6), 1),
                                              ((0.5, 0.6, 0.9), 2), ((0.7, 0.7, 0.7), 0)])
def test_tuning_takes_the_best_trial_and_the_first_of_equals(tmp_path, scores, best):
    tried = []

    def score(recipe, number):
        tried.append(recipe)
        return scores[number]

    recipe = replace(STUDY.train, tune=3)
    chosen = tune(recipe, 2, 0, tmp_path, score)
    assert len({r.learning_rate for r in tried}) == 3
    assert {r.epochs for r in tried} == {2}
    assert chosen == replace(tried[best], epochs=recipe.epochs)
    assert codec.parse_json((tmp_path / "tune.json").read_text(), "")["chosen"] == best
