"""Bundles for other targets than the CPU: they answer here, or one message says why not."""

from __future__ import annotations

import io
import json
import os
import shutil

import device_fixture
import numpy as np
import pytest
from PIL import Image

from bedside import targets
from bedside.core.study import EvaluateConfig
from bedside.runfolder import layout
from bedside.runtime.bundle.reader import open_bundle
from bedside.runtime.device import Device
from bedside.stages import build
from bedside.stages.bundle import build as deploy
from bedside.stages.evaluate.stage import evaluate

bedside = device_fixture.bedside
CELLS = (("resnet34-float32", "onnxruntime"), ("resnet34-float32", "openvino"),
         ("resnet34-float32", "gpu"), ("resnet34-int8", "sm8650-hexagon"))


@pytest.fixture(scope="module")
def run(tiny_quantized, tmp_path_factory):
    """Cells of four backends that really run here, on few images."""
    copy = tmp_path_factory.mktemp("targets") / "run"
    shutil.copytree(tiny_quantized, copy)
    for name in ("builds", "measurements"):
        shutil.rmtree(copy / name, ignore_errors=True)
    for variant, target in CELLS:
        build.build(copy, variant, target)
    evaluate(copy, list(CELLS), EvaluateConfig(rounds=1, warmup=0, samples=1))
    return copy


@pytest.mark.parametrize(("variant", "target"), CELLS)
def test_a_bundle_answers_with_the_engine_of_its_target(run, variant, target):
    data, _ = deploy.make(run, target, variant)
    opened = open_bundle(data, (), allow_unsigned=True)
    assert opened.manifest.model.backend == targets.load(target, run).backend
    case = next(c for c in layout.cases(run) if c.split == "test")
    measured = layout.predictions(run, variant, target)
    wanted = measured.logits[list(measured.ids).index(case.id)]
    with layout.pixel_store(run, opened.manifest.preprocess) as store, \
            Device(opened) as device:
        buffer = io.BytesIO()
        Image.fromarray(store.pixels(case.id)[..., 0]).save(buffer, "PNG")
        answer, _ = device.image(buffer.getvalue(), "x")
    np.testing.assert_allclose(answer.logits, wanted, rtol=1e-4, atol=1e-4)
    assert device.test.largest_difference <= device.test.tolerance


def test_a_device_without_the_engine_says_what_is_missing(bedside, run, tmp_path, monkeypatch):
    """The engine's process finds no package of that name: exit 3, not a crash."""
    path, image = tmp_path / "b.zip", tmp_path / "x.png"
    path.write_bytes(deploy.make(run, "onnxruntime", "resnet34-float32")[0])
    image.write_bytes(device_fixture.png())
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.metadata as m\nreal = m.version\n\n"
        "def version(name):\n    if name == 'onnxruntime':\n"
        "        raise m.PackageNotFoundError(name)\n    return real(name)\n\n"
        "m.version = version\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    code, out, err = bedside("predict", path, image)
    assert (code, out) == (3, "")
    assert "ONNX Runtime is not installed" in err
    assert "pip install" in err


@pytest.mark.parametrize("target", ["ethos-u55-256", "sd865-cpu"])
def test_targets_that_open_no_bundle_are_one_message(bedside, run, target, tmp_path):
    code, out, err = bedside("bundle", run, "--target", target, "--variant", "resnet34-int8",
                             "--out", tmp_path / "b.zip")
    assert (code, out) == (2, "")
    assert f"no bundle for target '{target}'" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "b.zip").exists()


def test_the_web_app_names_builds_that_no_browser_runs(bedside, run, tmp_path):
    path = tmp_path / "b.zip"
    path.write_bytes(deploy.make(run, "openvino", "resnet34-float32")[0])
    code, out, err = bedside("web", path, "--out", tmp_path / "site")
    assert (code, out) == (2, "")
    assert "a browser runs tflite" in err
    assert json.dumps(str(path))[1:-1] in err
    assert not (tmp_path / "site").exists()
