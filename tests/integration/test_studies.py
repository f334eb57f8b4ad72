"""Whole studies, small, through the command line: three classes, .npz, a model from elsewhere."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bedside.cli import app
from bedside.runfolder import layout, stored

SMALL = """
schemes = ["float32", "int8"]
[[models]]
name = "resnet34"
width = 0.125
image_px = 32
epochs = 12
batch_size = 8
[calibration]
images = 8
[evaluate]
rounds = 1
warmup = 0
samples = 2
"""



def _bedside(*arguments) -> None:
    with pytest.raises(SystemExit) as caught:
        app.main([str(a) for a in arguments])
    assert caught.value.code == 0


def _blobs(count, classes, px=28, seed=0):
    """Discs whose radius tells the class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    rows, columns = np.mgrid[:px, :px]
    images = []
    for label in labels:
        y, x = rng.uniform(0.35, 0.65, 2) * px
        disc = (rows - y) ** 2 + (columns - x) ** 2 < (3 + 3 * label) ** 2
        images.append(np.clip(rng.normal(90, 20, (px, px)) + 90 * disc, 1, 255))
    return np.array(images).astype(np.uint8), labels[:, None].astype(np.uint8)


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A MedMNIST file of three classes, the whole way."""
    root = tmp_path_factory.mktemp("three")
    images, labels = _blobs(90, 3)
    np.savez(root / "d.npz", train_images=images[:60], train_labels=labels[:60],
             val_images=images[60:75], val_labels=labels[60:75], test_images=images[75:],
             test_labels=labels[75:])
    (root / "s.toml").write_text(SMALL + f'[data]\nsource = "{root}/d.npz"\n')
    _bedside("run", "-c", root / "s.toml", "--out", root / "run", "--class-names",
             "small,middle,large")
    return root


def _rows(run):
    return json.loads((run / "report" / "results.json").read_text())["rows"]


def test_three_classes_report_macro_metrics(three):
    for row in _rows(three / "run"):
        assert row["status"] == "ok"
        assert row["metrics"]["accuracy"]["n"] == 15
        assert {"macro_sensitivity", "macro_specificity", "macro_auroc"} <= set(row["metrics"])
        assert "sensitivity" not in row["metrics"]
    task = json.loads((three / "run" / "data" / "task.json").read_text())
    # A binary task puts the positive class last; more classes are sorted.
    assert task["classes"] == ["large", "middle", "small"]
    page = (three / "run" / "report" / "index.html").read_text()
    assert "macro" in page.lower()


def test_a_given_split_is_respected(three):
    counts = {}
    for case in stored.cases(three / "run"):
        part = case.file.split("_")[0]
        counts[(part, case.split)] = counts.get((part, case.split), 0) + 1
    assert counts == {("train", "train"): 60, ("val", "val"): 15, ("test", "test"): 15}


def test_a_model_trained_elsewhere_goes_the_rest_of_the_way(three, tmp_path):
    """The float model of one study enters another; without a CAM, figures say so."""
    float_model = layout.model_dir(three / "run", "resnet34") / layout.FLOAT_MODEL
    foreign = tmp_path / "clinic-net.tflite"
    foreign.write_bytes(float_model.read_bytes())
    config = tmp_path / "s.toml"
    config.write_text(
        'schemes = ["float32", "int8"]\n'
        f'[data]\nsource = "{three}/d.npz"\nclass_names = ["small", "middle", "large"]\n'
        "[calibration]\nimages = 8\n[evaluate]\nrounds = 1\nsamples = 2\n")
    (tmp_path / "p.toml").write_text("height_px = 32\nwidth_px = 32\nchannels = 1\n")
    out = tmp_path / "run"
    _bedside("run", "-c", config, "--float-model", foreign, "--preprocess", tmp_path / "p.toml",
             "--model-classes", "large,middle,small", "--out", out)
    rows = _rows(out)
    assert {r["model"] for r in rows} == {"clinic_net"}
    assert [r["status"] for r in rows] == ["ok", "ok"]
    ours = {r["scheme"]: r for r in _rows(three / "run")}
    for row in rows:
        assert row["metrics"]["accuracy"] == ours[row["scheme"]]["metrics"]["accuracy"]


def test_one_command_after_the_other_gives_the_same(three, capsys):
    run = three / "run"
    capsys.readouterr()
    _bedside("evaluate", run, "--only", "*-int8@cpu", "--json")
    document = json.loads(capsys.readouterr().out)
    assert [r["variant"] for r in document["rows"]] == ["resnet34-int8"]
    _bedside("show", run, "--json")
    stages = json.loads(capsys.readouterr().out)["stages"]
    assert {"data", "train", "convert", "quantize", "build", "evaluate"} <= {
        s["stage"] for s in stages}
    _bedside("run", "--out", run, "--dry-run")
    plan = capsys.readouterr().out
    assert "finished" in plan
    _bedside("report", run)


def test_predict_answers_as_the_study_did(three, capsys, tmp_path):
    from PIL import Image

    run = three / "run"
    data = np.load(three / "d.npz")
    predictions = stored.predictions(run, "resnet34-int8", "cpu")
    case = next(c for c in stored.cases(run) if c.file == "test_images[3]")
    Image.fromarray(data["test_images"][3]).save(tmp_path / "x.png")
    capsys.readouterr()
    _bedside("predict", layout.variant_dir(run, "resnet34-int8"), tmp_path / "x.png", "--json")
    answer = json.loads(capsys.readouterr().out)["answers"][0]
    row = list(predictions.ids).index(case.id)
    np.testing.assert_allclose(answer["logits"], predictions.logits[row], atol=1e-6)


def test_another_target_for_once_leaves_the_configuration_as_it_was(three, capsys):
    run = three / "run"
    before = (run / "study.toml").read_bytes()
    capsys.readouterr()
    _bedside("evaluate", run, "--target", "cpu-1", "--only", "*-float32@cpu-1", "--json")
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(r["variant"], r["target"]) for r in rows] == [("resnet34-float32", "cpu-1")]
    assert (run / "study.toml").read_bytes() == before
