"""A classifier from elsewhere through ``run``: its contract is held against the labelled images."""

from __future__ import annotations

import json

import numpy as np
import pytest
from foreign_models import network
from PIL import Image

from bedside.cli import app
from bedside.core import codec
from bedside.core.contract import Contract, ContractCheck
from bedside.runfolder import layout, stored

QUICK = ('schemes = ["float32", "int8"]\n[calibration]\nimages = 8\n'
         "[evaluate]\nrounds = 1\nsamples = 2\n")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """48 PNG files a class, wide: bright or dark in the middle, the opposite at the sides."""
    folder = tmp_path_factory.mktemp("images") / "d"
    rng = np.random.default_rng(0)
    for label, level in (("bright", 0.62), ("dark", 0.38)):
        (folder / label).mkdir(parents=True)
        for i in range(48):
            plane = rng.normal(0.5, 0.2, (40, 90))
            plane[:, :25] += (0.5 - level) * 2
            plane[:, 65:] += (0.5 - level) * 2
            plane[:, 25:65] += level - 0.5 + rng.normal(0, 0.05)
            Image.fromarray(np.rint(255 * np.clip(plane, 0, 1)).astype(np.uint8)).save(
                folder / label / f"{i}.png")
    return folder


@pytest.fixture
def model(tmp_path):
    file = tmp_path / "clinic.tflite"
    file.write_bytes(network(scale=255.0))
    return file


def _run(tmp_path, dataset, model, *flags):
    (tmp_path / "s.toml").write_text(QUICK)
    return app.guarded(["run", str(dataset), "-c", str(tmp_path / "s.toml"), "--positive", "bright",
                        "--out", str(tmp_path / "run"), "--float-model", str(model), *flags])


def test_a_declared_model_goes_the_whole_way(tmp_path, dataset, model, capsys):
    assert _run(tmp_path, dataset, model, "--model-classes", "dark,bright", "--input-range",
                "0,255", "--resize", "crop") == 0
    run = tmp_path / "run"
    folder = layout.model_dir(run, "clinic")
    contract = codec.read_toml(Contract, folder / layout.CONTRACT)
    assert contract.input_range == (0.0, 255.0) and contract.classes == ("dark", "bright")
    found = codec.read_json(ContractCheck, folder / layout.CONTRACT_CHECK)
    assert found.auc.low > 0.5 and found.parity.classes_differ == 0
    assert found.images == sum(c.split == "val" for c in stored.cases(run))
    rows = json.loads((run / "report" / "results.json").read_text())["rows"]
    assert [r["status"] for r in rows] == ["ok", "ok"]
    assert min(r["metrics"]["auroc"]["value"] for r in rows) > 0.8
    capsys.readouterr()
    # The same study, written down: nothing is asked for again.
    assert app.guarded(["run", "--out", str(run), "--dry-run"]) == 0
    assert "finished" in capsys.readouterr().out


def test_the_shape_is_part_of_the_contract(tmp_path, dataset, model, capsys):
    """Stretched, the sides outweigh the middle, and every answer turns."""
    assert _run(tmp_path, dataset, model, "--model-classes", "dark,bright", "--input-range",
                "0,255", "--resize", "stretch") == 1
    assert "worse than chance" in capsys.readouterr().err


@pytest.mark.parametrize(("flags", "fault"), [
    (("--model-classes", "bright,dark", "--input-range", "0,255"), "worse than chance"),
    (("--model-classes", "dark,bright", "--input-range", "0,1"), "calls every validation image")])
def test_a_contract_that_the_labels_contradict_is_a_failed_gate(tmp_path, dataset, model, capsys,
                                                                flags, fault):
    assert _run(tmp_path, dataset, model, *flags, "--resize", "crop") == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert fault in said and "clinic.tflite" in said
    assert not (tmp_path / "run" / "variants").exists()


@pytest.mark.parametrize(("flags", "fault"), [
    ((), "class order, input range and resize are neither declared nor in the file"),
    (("--model-classes", "cat,dog", "--input-range", "0,255", "--resize", "crop"), "cat, dog"),
    (("--model-classes", "dark,bright", "--input-range", "wide"), "--input-range"),
    (("--model-classes", "a,b,c", "--input-range", "0,1", "--resize", "crop"), "3 names")])
def test_what_is_not_declared_right_is_refused(tmp_path, dataset, model, capsys, flags, fault):
    assert _run(tmp_path, dataset, model, *flags) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert fault in said
    assert not (tmp_path / "run" / "study.toml").exists()


def test_flags_of_a_model_without_a_model_are_refused(tmp_path, dataset, capsys):
    assert app.guarded(["run", str(dataset), "--out", str(tmp_path / "run"), "--model-classes",
                        "a,b"]) == 2
    assert "--model-classes: given without --float-model" in capsys.readouterr().err
