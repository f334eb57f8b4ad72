"""The same training on folds by image and by group: scores, files, and what may not leak."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from bedside.cli import app
from bedside.core.errors import BadInput
from bedside.core.study import DataConfig, ModelConfig, Study, TrainConfig
from bedside.core.types import Case
from bedside.flows import audit, leakage, study
from bedside.flows.check import check as check_study
from bedside.runfolder import layout, stored
from bedside.stages.data import split
from bedside.stages.report import leakage_view
from bedside.stages.train.crossfit import out_of_fold

# One run for all, made and used in order.

MODEL = ModelConfig("resnet34", image_px=32, width=0.125, epochs=1, batch_size=8)


def cases_of(n: int, classes: int = 2) -> list[Case]:
    return [Case(f"c{i:03d}", f"{i}.png", f"k{i % classes}", None, f"g{i // 2 if i < 20 else i}",
                 "train", 8, 8, "") for i in range(n)]


@pytest.mark.parametrize(("classes", "positive"), [(2, "k1"), (3, None)])
def test_scores_are_those_of_sklearn(classes: int, positive: str | None) -> None:
    rng = np.random.default_rng(classes)
    cases = cases_of(90, classes)
    names = [f"k{k}" for k in range(classes)]
    labels = np.array([names.index(c.label) for c in cases])
    logits = {arm: (rng.normal(size=(90, classes)) + lift * np.eye(classes)[labels]).astype("f4")
              for arm, lift in (("image", 2.0), ("group", 0.5))}
    related = np.arange(90) < 20
    found = leakage.compare(cases, names, positive, logits, related, 0)

    def expected(arm: str) -> float:
        z = logits[arm].astype(float)
        odds = [z[:, k] - np.log(np.exp(np.delete(z, k, 1)).sum(1)) for k in range(classes)]
        wanted = [1] if positive else range(classes)
        return float(np.mean([roc_auc_score(labels == k, odds[k]) for k in wanted]))

    gain = found.difference
    assert gain.value == pytest.approx(expected("image") - expected("group"), abs=1e-9)
    assert 0 < gain.low < gain.value < gain.high and gain.n == 90
    area = "auroc" if positive else "macro_auroc"
    for arm in found.arms:
        assert arm.metrics[area].value == pytest.approx(expected(arm.split), abs=1e-9)
        assert arm.related["accuracy"].n == 20 == found.related
    # Equal predictions differ by nothing, and the interval says so.
    same = leakage.compare(cases, names, positive, {"image": logits["image"],
                                                    "group": logits["image"]}, related, 0)
    assert (same.difference.value, same.difference.low, same.difference.high) == (0, 0, 0)


def test_the_interval_covers_as_a_normal_one_does_where_groups_are_single() -> None:
    """Independent images: the bootstrap by group is near the paired DeLong interval."""
    from bedside.metrics.stats import delong_covariance

    rng = np.random.default_rng(4)
    cases = [replace(c, group=c.id) for c in cases_of(400)]
    labels = np.array([int(c.label[1]) for c in cases])
    base = rng.normal(size=400) + labels
    scores = np.stack([base + 0.5 * rng.normal(size=400), base + rng.normal(size=400)])
    logits = {a: np.stack([-s, s], 1).astype("f4") for a, s in zip(leakage.ARMS, scores,
                                                                   strict=True)}
    gain = leakage.compare(cases, ["k0", "k1"], "k1", logits, labels == 1, 0).difference
    covariance = np.asarray(delong_covariance(labels, scores)[1])
    half = 1.96 * np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    assert gain.high - gain.low == pytest.approx(2 * half, rel=0.15)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 15 pictures, 5 of each copied with another gain."""
    root = tmp_path_factory.mktemp("leak")
    rng = np.random.default_rng(0)
    for k, label in enumerate(("benign", "malignant")):
        (root / "set" / label).mkdir(parents=True)
        for i in range(15):
            picture = rng.integers(20, 120, (48, 48)) + 60 * k * (np.mgrid[:48, :48][0] > 24)
            for twin in range(2 if i < 5 else 1):
                Image.fromarray((picture * (1 - 0.2 * twin)).astype(np.uint8)).save(
                    root / "set" / label / f"{i}-{twin}.png")
    config = check_study(Study(data=DataConfig(source=str(root / "set")), models=(MODEL,),
                               train=TrainConfig(threads=1)))
    audit.split(root / "run", config)
    return root / "run"


@pytest.fixture(scope="module")
def compared(run: Path) -> Path:
    """The same run, compared in three folds."""
    assert app.guarded(["leakage", str(run), "--folds", "3"]) == 0
    return run


def test_both_splits_are_trained_and_shown(run: Path, capsys) -> None:
    assert app.guarded(["leakage", str(run), "--folds", "3", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["images"], printed["related"], printed["folds"]) == (40, 20, 3)
    assert [a["split"] for a in printed["arms"]] == ["image", "group"]
    assert all(a["metrics"]["accuracy"]["n"] == 40 for a in printed["arms"])
    lines = (run / "leakage" / "predictions.csv").read_text().splitlines()
    rows = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    places: dict[str, dict[str, set[str]]] = {"image": {}, "group": {}}
    for row in rows:
        for arm, groups in places.items():
            groups.setdefault(row["group"], set()).add(row[f"{arm}_fold"])
    # By group no test image has a twin elsewhere; by image some have.
    assert all(len(f) == 1 for f in places["group"].values())
    assert any(len(f) > 1 for f in places["image"].values())
    page = (run / "audit" / "index.html").read_text()
    assert "Leakage: split by image against split by group" in page
    assert leakage_view.view(run)["difference"] in page
    assert not list((run / "leakage").glob(".*"))
    before = (run / "leakage" / "leakage.json").stat().st_mtime_ns
    assert app.guarded(["leakage", str(run), "--folds", "3"]) == 0
    assert "by image less by group" in capsys.readouterr().out
    assert before == (run / "leakage" / "leakage.json").stat().st_mtime_ns


def test_it_is_not_shown_for_other_cases(compared: Path) -> None:
    run = compared
    table = layout.data_dir(run) / layout.CASES
    text = table.read_text()
    assert leakage_view.view(run) is not None
    try:
        table.write_text(text.replace("train", "val", 1))
        assert leakage_view.view(run) is None
    finally:
        table.write_text(text)


def test_an_interrupted_comparison_goes_on(compared: Path, tmp_path: Path) -> None:
    run = compared
    cases = tuple(stored.cases(run))
    config = study.load(run)
    folds = split.folds(cases, 3, 0)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    arguments = (run, config, config.models[0], cases, folds, 3, "group")
    expected = out_of_fold(*arguments, whole)
    seen: list[str] = []

    def stop(stage: str, *_: object) -> None:
        seen.append(stage)
        if "fold 3" in stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        out_of_fold(*arguments, killed, stop)
    seen.clear()
    again = out_of_fold(*arguments, killed, lambda stage, *_: seen.append(stage))
    assert seen and all("fold 3" in s for s in seen)
    np.testing.assert_array_equal(again, expected)


@pytest.mark.parametrize(("words", "fault"), [
    (["--folds", "30"], "less than or equal to 20"), (["--model", "resnet3"], "Did you mean")])
def test_what_cannot_work_is_said(run: Path, words: list[str], fault: str) -> None:
    with pytest.raises(Exception, match=fault) as caught:
        app.app(["leakage", str(run), *words], standalone_mode=False)
    assert getattr(caught.value, "exit_code", 2) == 2


def test_more_folds_than_groups(run: Path) -> None:
    config = study.load(run)
    with pytest.raises(BadInput, match="35 folds of 30 groups"):
        leakage.leakage(run, config, config.models[0], 35)


def test_nothing_can_leak_where_no_images_belong_together(run: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"
    rng = np.random.default_rng(1)
    for label in ("a", "b"):
        (root / label).mkdir(parents=True)
        for i in range(6):
            Image.fromarray(rng.integers(0, 255, (40, 40), dtype=np.uint8)).save(
                root / label / f"{i}.png")
    config = check_study(Study(data=DataConfig(source=str(root)), models=(MODEL,)))
    with pytest.raises(BadInput, match="no two images share a group"):
        leakage.leakage(tmp_path / "run", config, config.models[0], 3)
