"""Bundles of a run: what they hold, the same bytes again, other targets, refused edits."""

from __future__ import annotations

import io
import json
import os
import shutil
from dataclasses import replace

import device_fixture
import numpy as np
import pytest
from device_fixture import VARIANT
from PIL import Image

from bedside import targets
from bedside.card.facts import Facts
from bedside.core import codec
from bedside.core.build import Variant
from bedside.core.errors import BadInput
from bedside.core.study import EvaluateConfig
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.bundle import manifest, signing
from bedside.runtime.bundle.reader import open_bundle
from bedside.runtime.device import Device
from bedside.stages import build
from bedside.stages.bundle import build as deploy
from bedside.stages.evaluate.stage import evaluate

bedside, cells, keys, file = (device_fixture.bedside, device_fixture.cells, device_fixture.keys,
                              device_fixture.file)
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
    data, _ = deploy.make(run, target, variant, below_floor=True)
    opened = open_bundle(data, (), allow_unsigned=True)
    assert opened.manifest.model.backend == targets.load(target, run).backend
    case = next(c for c in stored.cases(run) if c.split == "test")
    measured = stored.predictions(run, variant, target)
    wanted = measured.logits[list(measured.ids).index(case.id)]
    with stored.pixel_store(run, opened.manifest.preprocess) as store, \
            Device(opened) as device:
        buffer = io.BytesIO()
        Image.fromarray(store.pixels(case.id)[..., 0]).save(buffer, "PNG")
        answer, _ = device.image(buffer.getvalue(), "x")
    np.testing.assert_allclose(answer.logits, wanted, rtol=1e-4, atol=1e-4)
    assert device.test.largest_difference <= device.test.tolerance


def test_a_device_without_the_engine_says_what_is_missing(bedside, run, tmp_path, monkeypatch):
    """The engine's process finds no package of that name: exit 3, not a crash."""
    path, image = tmp_path / "b.zip", tmp_path / "x.png"
    path.write_bytes(deploy.make(run, "onnxruntime", "resnet34-float32",
                                 below_floor=True)[0])
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
    path.write_bytes(deploy.make(run, "openvino", "resnet34-float32", below_floor=True)[0])
    code, out, err = bedside("web", path, "--out", tmp_path / "site")
    assert (code, out) == (2, "")
    assert "a browser runs tflite" in err
    assert json.dumps(str(path))[1:-1] in err
    assert not (tmp_path / "site").exists()


def test_a_variant_made_anew_since_it_was_measured_gets_no_bundle(cells, tmp_path):
    """Its evidence would be that of other weights."""
    run = tmp_path / "run"
    shutil.copytree(cells, run)
    folder = layout.variant_dir(run, VARIANT)
    made = codec.read_json(Variant, folder / layout.VARIANT)
    assert deploy.cell(run, VARIANT, "cpu").variant == made
    with artefact.writing(folder, "quantize", "anew") as scratch:
        shutil.copyfile(folder / layout.VARIANT_MODEL, scratch / layout.VARIANT_MODEL)
        artefact.write_text(scratch / layout.VARIANT, codec.to_json(
            replace(made, sha256="0" * 64)))
    with pytest.raises(BadInput, match="made again since it was measured") as caught:
        deploy.make(run, "cpu", VARIANT, below_floor=True)
    assert "bedside evaluate" in caught.value.remedy


def test_a_bundle_holds_the_build_and_no_image_of_the_data(cells, file, keys):
    bundle = open_bundle(file, {signing.read_public(keys[1])}, allow_unsigned=False)
    model = bundle.manifest.model
    assert (model.variant, model.target, model.backend, model.cam) == (VARIANT, "cpu", "cpu", True)
    saved = layout.variant_dir(cells, VARIANT) / "model.tflite"
    assert bytes(bundle.files[model.file]) == saved.read_bytes()
    pictures = [bytes(bundle.files[n]) for n in bundle.named("reference-pixels")]
    with stored.pixel_store(cells, bundle.manifest.preprocess) as store:
        assert not {store.pixels(i).tobytes() for i in store.ids} & set(pictures)
    text = b"".join(bytes(v) for n, v in bundle.files.items() if n.endswith((".json", ".md")))
    assert not [c.id for c in stored.cases(cells) if c.id.encode() in text]
    assert str(cells).encode() not in file.read_bytes()


def test_the_same_run_gives_the_same_bytes(cells, file, keys):
    assert deploy.make(cells, "cpu", VARIANT, key=keys[0], below_floor=True)[0] == file.read_bytes()


def test_the_recommended_variant_is_taken(cells, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(cells, run)
    with pytest.raises(BadInput, match="--variant"):
        deploy.make(run, "cpu", None)
    text = codec.to_json({"recommendations": [
        {"target": "cpu", "chosen": "resnet34-float32"}, {"target": "cpu-1", "chosen": None}]})
    with artefact.writing(run, "recommend", "k") as scratch:
        artefact.write_text(scratch / "recommendation.json", text)
    assert deploy.recommended(run, "cpu") == "resnet34-float32"
    for target in ("cpu-1", "gpu"):
        with pytest.raises(BadInput, match="recommend"):
            deploy.recommended(run, target)
    with pytest.raises(BadInput, match="no variant 'nope'"):
        deploy.make(run, "cpu", "nope")
    with pytest.raises(BadInput, match="unknown target"):
        deploy.make(run, "cpus", VARIANT)


def test_nothing_that_was_edited_goes_into_a_bundle(cells, tmp_path):
    """The signature would vouch for what no stage made."""
    run = tmp_path / "run"
    shutil.copytree(cells, run)
    chosen = codec.to_json({"recommendations": [{"target": "cpu", "chosen": VARIANT}]})
    with artefact.writing(run, "recommend", "k") as scratch:
        artefact.write_text(scratch / "recommendation.json", chosen)
    with artefact.writing(run / "evidence" / "resnet34", "evidence", "k") as scratch:
        for name in ("operating_point", "comparisons", "statistics"):
            artefact.write_text(scratch / f"{name}.json", "{}")
    def unproven(run):
        shutil.rmtree(run / "evidence")  # made up above: its threshold came from no predictions
        return deploy.make(run, "cpu", VARIANT, below_floor=True)

    cell = deploy.cell(run, VARIANT, "cpu")
    measured = layout.measurement_dir(run, VARIANT, "cpu")
    point = manifest.OperatingPoint(0.5)
    for path, read in (
            (run / "recommendation.json", lambda: deploy.recommended(run, "cpu")),
            (measured / layout.PREDICTIONS, lambda: deploy.cell(run, VARIANT, "cpu")),
            (run / "evidence/resnet34/operating_point.json",
             lambda: deploy.operating_point(cell)),
            (run / "evidence/resnet34/statistics.json",
             lambda: deploy._evidence(cell, point, None)),
            (layout.data_dir(run) / layout.CASES, lambda: unproven(run))):
        before = path.read_bytes()
        path.write_bytes(before[:-1] + b" ")
        with pytest.raises(BadInput, match=rf"{path.name}.*hash"):
            read()
        path.write_bytes(before)


def test_a_study_that_is_not_toml_is_named(cells, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(cells, run)
    layout.study_file(run).write_text("seed = = 1")
    facts = Facts(run, "resnet34", (), ())
    with pytest.raises(BadInput, match=r"study\.toml.*TOML"):
        facts.document("study.toml")
