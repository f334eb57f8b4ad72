"""Variants that leave for other programs, and their contract."""

from __future__ import annotations

import json
import shutil

import pytest

from bedside.cli.app import guarded
from bedside.core.errors import BadInput, GateFailed
from bedside.flows.export import export
from bedside.runfolder import layout, stored


@pytest.fixture(scope="module")
def variant(tiny_quantized):
    return layout.variant_dir(tiny_quantized, "resnet34-float32")


def test_the_contract_states_range_classes_and_what_was_compared(variant, tiny_quantized, tmp_path):
    contract = export(variant, "onnx", tmp_path / "out")
    assert contract["classes"] == ["benign", "malignant"]
    assert contract["positive"] == "malignant"
    assert contract["input"]["range"] == [0.0, 1.0]
    assert contract["input"]["shape"] == [1, 32, 32, 1]
    assert contract["input"]["preprocess"]["normalise"] == "max"
    assert contract["logits"] == "logits"
    assert contract["parity"]["images"] == 16
    assert contract["parity"]["largest_logit_difference"] < 1e-4
    assert contract["variant_sha256"] == next(
        v.sha256 for v in stored.variants(tiny_quantized) if v.id == "resnet34-float32")


def test_the_command_says_what_it_wrote(variant, tmp_path, capsys):
    assert guarded(["export", str(variant), "--format", "onnx", "--out", str(tmp_path / "o")]) == 0
    assert "16 images" in capsys.readouterr().out
    assert guarded(["export", str(variant), "--out", str(tmp_path / "p"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["format"] == "onnx"


def test_what_cannot_be_exported_leaves_nothing(variant, tmp_path, capsys, monkeypatch):
    int8 = variant.with_name("resnet34-int8")
    assert guarded(["export", str(int8), "--format", "onnx", "--out", str(tmp_path / "q")]) == 2
    assert "resnet34-float32" in capsys.readouterr().err
    assert guarded(["export", str(variant), "--format", "onxx", "--out", str(tmp_path / "f")]) == 2
    assert "Did you mean 'onnx'" in capsys.readouterr().err
    from bedside.exports import onnx_model

    def differs(*_):
        raise GateFailed("logits differ", where="x", remedy="Report it.")

    monkeypatch.setattr(onnx_model, "write", differs)
    with pytest.raises(GateFailed):
        export(variant, "onnx", tmp_path / "g")
    assert not list(tmp_path.iterdir())


def test_a_folder_outside_a_run_and_one_that_is_full_are_refused(variant, tmp_path):
    shutil.copytree(variant, tmp_path / "copy")
    with pytest.raises(BadInput, match="not in a run"):
        export(tmp_path / "copy", "onnx", tmp_path / "out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    with pytest.raises(BadInput, match="not empty"):
        export(variant, "onnx", tmp_path / "full")
    assert (tmp_path / "full" / "mine.txt").read_text() == "x"
    (tmp_path / "empty").mkdir()
    assert export(variant, "onnx", tmp_path / "empty")["format"] == "onnx"
