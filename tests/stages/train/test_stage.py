"""Training: determinism, SIGKILL and resume, refusals, selection, tuning, augmentation."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from train_fixture import NET, STUDY, history, make_run, published

from bedside.core import codec
from bedside.core.build import ModelSpec
from bedside.core.errors import BadInput
from bedside.models import MODELS
from bedside.runfolder import artefact, layout, stored
from bedside.stages.train.stage import train


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Path:
    run = make_run(tmp_path_factory.mktemp("reference"))
    assert train(run, STUDY, NET)
    return run


def test_publishes_what_the_contract_names_and_skips_when_finished(reference):
    folder = layout.model_dir(reference, "resnet34")
    assert set(artefact.record(folder, "train").files) == {
        "weights.safetensors", "history.csv", "timings.csv", "model.json"}
    spec = codec.read_json(ModelSpec, folder / layout.SPEC)
    assert (spec.id, spec.config, spec.last_conv) == ("resnet34", NET, None)
    assert spec.parameters > 0
    assert [r["epoch"] for r in history(reference)] == ["1", "2", "3"]
    assert not train(reference, STUDY, NET)
    assert not artefact.scratch_dir(folder, "train").exists()


def test_published_weights_are_those_of_the_best_epoch(reference):
    from bedside.stages.convert import load_module

    folder = layout.model_dir(reference, "resnet34")
    spec = codec.read_json(ModelSpec, folder / layout.SPEC)
    module = load_module(spec, folder / layout.WEIGHTS)
    rows = history(reference)
    best = max(rows, key=lambda r: (float(r["val_auroc"]), -float(r["val_loss"])))
    cases = [c for c in stored.cases(reference) if c.split == "val"]
    right = 0
    with stored.pixel_store(reference, spec.preprocess) as store, torch.inference_mode():
        for case in cases:
            logits = module(torch.from_numpy(store.tensor(case.id)))["logits"]
            right += int(logits.argmax()) == spec.task.classes.index(case.label)
    assert right / len(cases) == pytest.approx(float(best["val_accuracy"]))


def test_same_seed_same_bytes_other_seed_other_bytes(reference, tmp_path):
    again = make_run(tmp_path / "again")
    train(again, STUDY, NET)
    assert published(again) == published(reference)
    other = make_run(tmp_path / "other")
    train(other, replace(STUDY, seed=4), NET)
    assert published(other)[0] != published(reference)[0]


class Dropping(torch.nn.Module):
    """A network of which training draws random numbers."""

    def __init__(self, classes):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(1, 8, 5, 4)
        self.dropout = torch.nn.Dropout(0.5)
        self.classifier = torch.nn.Conv2d(8, classes, 1)

    def forward(self, image):
        maps = self.classifier(self.dropout(torch.relu(self.conv1(image.permute(0, 3, 1, 2)))))
        return {"logits": maps.mean((2, 3)), "cam": maps.permute(0, 2, 3, 1)}


def dropping(config, classes):
    return Dropping(classes)


def test_training_that_goes_on_drops_what_it_would_have_dropped(tmp_path, monkeypatch):
    """Masks of dropout come from torch's own generator, which no checkpoint holds."""
    monkeypatch.setitem(MODELS, "dropping", f"{__name__}:dropping")
    net = replace(NET, name="dropping")
    whole, stopped = make_run(tmp_path / "whole"), make_run(tmp_path / "stopped")
    train(whole, STUDY, net)

    def stop(stage, done, total, text=""):
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(stopped, STUDY, net, stop)
    steps = []
    train(stopped, STUDY, net, lambda stage, done, *rest: steps.append(done))
    assert steps[0] == 5
    assert published(stopped, "dropping") == published(whole, "dropping")


def test_progress_reports_every_step_and_ends_at_the_total(tmp_path):
    calls = []
    train(make_run(tmp_path), STUDY, NET, lambda *c: calls.append(c))
    assert [c[1] for c in calls] == list(range(1, 13))
    assert {c[2] for c in calls} == {12} and {c[0] for c in calls} == {"train resnet34"}
    assert "AUC" in calls[-1][3]


def test_learns_an_easy_task(tmp_path):
    run = make_run(tmp_path, count=96)
    train(run, STUDY, replace(NET, epochs=8))
    assert max(float(r["val_auroc"]) for r in history(run)) > 0.9


def test_three_classes(tmp_path):
    run = make_run(tmp_path, ("benign", "malignant", "normal"), count=60)
    train(run, STUDY, NET)
    assert all(0.0 <= float(r["val_auroc"]) <= 1.0 for r in history(run))


def test_early_stopping_ends_before_the_last_epoch(tmp_path):
    run = make_run(tmp_path)
    study = replace(STUDY, train=replace(STUDY.train, patience=1))
    train(run, study, replace(NET, epochs=40))
    rows = history(run)
    best = max(rows, key=lambda r: (float(r["val_auroc"]), -float(r["val_loss"])))
    assert len(rows) < 40 and int(rows[-1]["epoch"]) == int(best["epoch"]) + 1


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_loss_that_is_not_finite_stops_and_publishes_nothing(tmp_path, optimizer):
    run = make_run(tmp_path)
    study = replace(STUDY, train=replace(STUDY.train, optimizer=optimizer))
    with pytest.raises(BadInput, match="learning_rate"):
        train(run, study, replace(NET, learning_rate=1e30))
    assert not artefact.finished(layout.model_dir(run, "resnet34"), "train")
    assert not (layout.model_dir(run, "resnet34") / layout.WEIGHTS).exists()


@pytest.mark.parametrize(("drop", "said"), [
    ((("train", "benign"),), "no training image of class 'benign'"),
    (("val",), "no validation image"),
])
def test_splits_that_cannot_train_are_refused(tmp_path, drop, said):
    with pytest.raises(BadInput, match=said):
        train(make_run(tmp_path, drop=drop), STUDY, NET)


def test_validation_of_one_class_is_chosen_by_loss(tmp_path):
    run = make_run(tmp_path, drop=(("val", "benign"),))
    train(run, STUDY, NET)
    assert {r["val_auroc"] for r in history(run)} == {""}


@pytest.mark.parametrize("change", [{"epochs": 0}, {"batch_size": 1}, {"learning_rate": -1.0},
                                    {"learning_rate": 0.0}])
def test_settings_that_cannot_work_are_refused(tmp_path, change):
    with pytest.raises(BadInput, match=next(iter(change))):
        train(make_run(tmp_path), STUDY, replace(NET, **change))


def test_weights_that_do_not_fit_leave_nothing_behind(tmp_path):
    run = make_run(tmp_path)
    (tmp_path / "w.pth").write_bytes(b"x")
    for name, said in (("w.pth", "safetensors"), ("missing.safetensors", "no such file")):
        with pytest.raises(BadInput, match=said):
            train(run, STUDY, replace(NET, weights=str(tmp_path / name)))
    assert not layout.model_dir(run, "resnet34").exists()
