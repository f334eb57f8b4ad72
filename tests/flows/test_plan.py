"""What ``--dry-run`` prints: cells at the speed of what runs them."""

from __future__ import annotations

from dataclasses import replace

import dicom_fixture
import numpy as np
import pytest

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.study import EvaluateConfig, ModelConfig, PhantomConfig, Study, TrainConfig
from bedside.flows.check import check
from bedside.flows.plan import plan
from bedside.runfolder import artefact, layout
from bedside.runfolder.cases import cases_to_csv


def _seconds(run, config):
    return {s.subject: s.seconds for s in plan(run, config) if s.stage == "evaluate"}


@pytest.fixture
def config():
    base = Study(models=(ModelConfig("resnet34"), ModelConfig("vgg16")), schemes=("int8",),
                 targets=("cpu", "sm8650-hexagon", "ethos-u85-1024", "sd865-npu"))
    return replace(base, data=replace(base.data, phantom=PhantomConfig(images=1400)))


def test_a_simulated_cell_counts_at_the_simulators_speed_and_within_its_budget(tmp_path, config):
    """FACTS of one machine: 3.5 s an image for ResNet34, 11.5 s for VGG16; ten minutes a cell."""
    found = _seconds(tmp_path, config)
    resnet = found["resnet34-int8@sm8650-hexagon"]
    assert 64 * 3.0 < resnet < 64 * 3.0 + 120
    assert 600 < found["vgg16-int8@sm8650-hexagon"] < 720
    assert resnet > 5 * found["resnet34-int8@cpu"]
    assert found["resnet34-int8@sd865-npu"] < 5
    assert found["resnet34-int8@ethos-u85-1024"] > 64 * 2


def test_fewer_images_take_less(tmp_path, config):
    few = replace(config, evaluate=EvaluateConfig(images=8))
    assert (_seconds(tmp_path, few)["vgg16-int8@sm8650-hexagon"]
            < 0.5 * _seconds(tmp_path, config)["vgg16-int8@sm8650-hexagon"])


def test_stages_of_other_settings_do_not_count_as_finished(tmp_path):
    net = ModelConfig("resnet34", id="resnet34", image_px=32, width=0.125)
    config = Study(models=(net,), schemes=("float32",), targets=("cpu",))
    config = replace(config, data=replace(config.data, source="phantom",
                                          phantom=PhantomConfig(images=40)))
    run = tmp_path / "run"
    for folder, stage in ((layout.data_dir(run), "data"), (layout.model_dir(run, net.id), "train"),
                          (layout.model_dir(run, net.id), "convert"),
                          (layout.variant_dir(run, "resnet34-float32"), "quantize"),
                          (layout.measurement_dir(run, "resnet34-float32", "cpu"), "evaluate")):
        with artefact.writing(folder, stage, "made") as scratch:
            if stage == "data":
                artefact.write_text(scratch / layout.CASES, cases_to_csv([]))
    artefact.write_text(layout.study_file(run), codec.to_toml(check(config)))

    def finished(**changed):
        return {s.stage for s in plan(run, replace(config, **changed)) if s.finished}

    every = {"data", "train", "convert", "quantize", "evaluate"}
    assert finished() == every
    assert finished(evaluate=EvaluateConfig(rounds=7)) == every - {"evaluate"}
    assert finished(train=TrainConfig(epochs=99)) == {"data"}
    assert finished(seed=3) == set()


def test_dicom_that_was_not_imported_is_refused_before_any_estimate(tmp_path, config):
    dicom_fixture.write(tmp_path / "set" / "benign" / "a.dcm", np.zeros((8, 8), np.uint8))
    study = replace(config, data=replace(config.data, source=str(tmp_path / "set")))
    with pytest.raises(BadInput, match="not been de-identified") as caught:
        plan(tmp_path / "run", study)
    assert "bedside import" in caught.value.message
