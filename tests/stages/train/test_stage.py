"""Training: determinism, SIGKILL and resume, refusals, selection, tuning, augmentation."""

import csv
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bedside.core import codec
from bedside.core.build import ModelSpec
from bedside.core.errors import BadInput
from bedside.core.study import ModelConfig, Study, TrainConfig
from bedside.core.types import Case, Task
from bedside.models import MODELS, preprocess_of
from bedside.runfolder import artefact, layout
from bedside.runfolder.cases import cases_to_csv
from bedside.runtime.pixels import PixelStore
from bedside.stages.train.augment import Batches, ultrasound
from bedside.stages.train.checkpoint import State, average, begin, load_checkpoint, save_checkpoint
from bedside.stages.train.stage import train
from bedside.stages.train.tune import tune

PX = 32
NET = ModelConfig("resnet34", image_px=PX, width=0.125, epochs=3, batch_size=8,
                  learning_rate=2e-3)
STUDY = Study(seed=3, train=TrainConfig(threads=1), models=(NET,))


def make_run(run: Path, classes=("benign", "malignant"), drop=(), count=48) -> Path:
    """A run whose cases are bright or dark discs in noise: a network can learn them."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:PX, :PX]
    cases, planes = [], []
    for i in range(count):
        split = "val" if i % 3 == 2 else "train"
        label = (i // 3) % len(classes)
        if (split, classes[label]) in drop or split in drop:
            continue
        disc = (rows - PX / 2) ** 2 + (columns - PX / 2) ** 2 < (PX / 4) ** 2
        plane = rng.normal(120, 30, (PX, PX)) + disc * (60 * label - 30)
        planes.append(np.clip(plane, 1, 255).astype(np.uint8).tobytes())
        cases.append(Case(f"c{i:03d}", f"{i}.png", classes[label], split=split))
    with artefact.writing(layout.data_dir(run), "data", "test") as scratch:
        artefact.write_text(scratch / layout.CASES, cases_to_csv(cases))
        artefact.write_text(scratch / layout.TASK, codec.to_json(
            Task(classes, classes[-1] if len(classes) == 2 else None)))
    preprocess = preprocess_of(NET)
    with artefact.writing(layout.cache_dir(run, preprocess), "cache", "test") as scratch:
        (scratch / "pixels.bin").write_bytes(b"".join(planes))
        artefact.write_text(scratch / "index.json", codec.to_json(
            {"preprocess": preprocess, "dtype": "uint8", "ids": [c.id for c in cases]}))
    return run


def published(run: Path, model="resnet34") -> tuple[bytes, str]:
    folder = layout.model_dir(run, model)
    artefact.check(folder, "train")
    return (folder / layout.WEIGHTS).read_bytes(), (folder / layout.HISTORY).read_text()


def history(run: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(published(run)[1].splitlines()))


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
    cases = [c for c in layout.cases(reference) if c.split == "val"]
    right = 0
    with layout.pixel_store(reference, spec.preprocess) as store, torch.inference_mode():
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


CHILD = """
import sys
from pathlib import Path
from bedside import codec
from bedside.train import train
from bedside.study_types import Study
study = codec.read_toml(Study, Path(sys.argv[2]))
train(Path(sys.argv[1]), study, study.models[0],
      lambda stage, done, total, text="": print(done, flush=True))
"""


def _run_child(run: Path, study: Path, kill_at: int | None) -> int:
    """Start training in a process; kill it (SIGKILL) once it reports step ``kill_at``."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(run), str(study)],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    first = -1
    assert child.stdout is not None
    for line in child.stdout:
        first = int(line) if first < 0 else first
        if kill_at is not None and int(line) >= kill_at:
            os.kill(child.pid, signal.SIGKILL)
            break
    child.communicate(timeout=120)
    assert child.returncode == (0 if kill_at is None else -signal.SIGKILL)
    return first


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"optimizer": "sgd", "schedule": "cosine",
                                          "ema_decay": 0.9, "clip_norm": 1.0}])
def test_killed_training_gives_the_bytes_of_one_never_killed(tmp_path, options):
    study = replace(STUDY, train=replace(STUDY.train, **options))
    whole, killed = make_run(tmp_path / "whole"), make_run(tmp_path / "killed")
    train(whole, study, NET)
    file = tmp_path / "study.toml"
    file.write_text(codec.to_toml(study))
    # 32 images, batch 8: 4 steps an epoch. In epoch 2, then in epoch 3 after a resume.
    _run_child(killed, file, 6)
    assert not artefact.finished(layout.model_dir(killed, "resnet34"), "train")
    assert _run_child(killed, file, 10) == 5, "the second process goes on after epoch 1"
    assert _run_child(killed, file, None) == 9
    assert published(killed) == published(whole)


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


def test_weights_that_do_not_fit_leave_nothing_behind(tmp_path):
    run = make_run(tmp_path)
    (tmp_path / "w.pth").write_bytes(b"x")
    for name, said in (("w.pth", "safetensors"), ("missing.safetensors", "no such file")):
        with pytest.raises(BadInput, match=said):
            train(run, STUDY, replace(NET, weights=str(tmp_path / name)))
    assert not layout.model_dir(run, "resnet34").exists()


# ------------------------------------------------------------------ pieces


def test_checkpoint_restores_the_whole_state(tmp_path):
    def fresh() -> State:
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4))
        return begin(net, TrainConfig(ema_decay=0.5), 10)

    def step(state: State) -> None:
        generator = torch.Generator().manual_seed(state.step)
        state.module(torch.rand(2, 1, 8, 8, generator=generator)).square().sum().backward()
        state.optimizer.step()
        state.optimizer.zero_grad()
        state.scheduler.step()
        state.step += 1
        average(state, 0.5)

    straight, resumed = fresh(), fresh()
    for _ in range(6):
        step(straight)
    for _ in range(3):
        step(resumed)
    save_checkpoint(tmp_path / "c", resumed)
    resumed = fresh()
    assert not load_checkpoint(tmp_path / "missing", resumed)
    assert load_checkpoint(tmp_path / "c", resumed)
    for _ in range(3):
        step(resumed)
    for kind in ("module", "ema"):
        a, b = (getattr(s, kind) for s in (straight, resumed))
        a, b = (x if isinstance(x, dict) else x.state_dict() for x in (a, b))
        assert all(torch.equal(a[k], b[k]) for k in a)


def test_average_follows_its_formula():
    net = torch.nn.Conv2d(1, 1, 1, bias=False)
    state = begin(net, TrainConfig(ema_decay=0.5), 10)
    first = float(net.weight.detach())
    with torch.no_grad():
        net.weight.fill_(1.0)
    state.step = 100
    average(state, 0.5)
    assert state.ema is not None
    assert float(state.ema["weight"]) == pytest.approx(0.5 * first + 0.5)


def test_augmentation_depends_on_its_seed_alone_and_stays_in_range():
    augment = ultrasound(1.0, 48, 40)
    assert augment is not None
    image = torch.rand(1, 48, 40)
    outputs = [augment(image.clone(), seed) for seed in (5, 6, 5)]
    assert torch.equal(outputs[0], outputs[2]) and not torch.equal(outputs[0], outputs[1])
    for seed in range(30):
        varied = augment(image.clone(), seed)
        assert varied.shape == image.shape and varied.dtype == torch.float32
        assert float(varied.min()) >= 0.0 and float(varied.max()) <= 1.0
    assert ultrasound(0.0, 48, 40) is None


def test_flip_is_left_to_right():
    """Depth runs down an ultrasound image: what is deep must stay deep."""
    augment = ultrasound(1e-6, 16, 16)
    assert augment is not None
    image = torch.arange(256.0).reshape(1, 16, 16) / 256
    varied = [augment(image.clone(), seed) for seed in range(20)]
    flipped = [v for v in varied if float((v - image.flip(2)).abs().max()) < 1e-3]
    same = [v for v in varied if float((v - image).abs().max()) < 1e-3]
    assert flipped and same and len(flipped) + len(same) == 20


def test_batches_visit_every_image_and_never_make_one_of_one(tmp_path):
    run = make_run(tmp_path)
    with PixelStore(layout.cache_dir(run, preprocess_of(NET))) as store:
        ids = store.ids[:17]
        batches = Batches(store, ids, np.arange(17, dtype=np.int64), 8)
        seen = [i for _, _, chosen in batches.shuffled(None, 0, 1) for i in chosen]
        assert batches.steps() == 2 and len(set(seen)) == 16
        labels = torch.cat([y for _, y in batches.in_order()])
        assert labels.tolist() == list(range(17))
        for images, _, chosen in batches.shuffled(None, 0, 1):
            for image, case_id in zip(images, chosen, strict=True):
                np.testing.assert_array_equal(image.numpy()[None], store.tensor(case_id))
