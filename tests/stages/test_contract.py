"""A contract that labelled validation images contradict stops the run; test is never read."""

from __future__ import annotations

import numpy as np
import pytest
from foreign_models import Classifier, network, s
from labelled import write_labelled
from sklearn.metrics import roc_auc_score

from bedside import schemes
from bedside.core import codec
from bedside.core.contract import ContractCheck, Declared
from bedside.core.errors import GateFailed
from bedside.core.study import CalibrationConfig, FloatModelConfig
from bedside.core.types import Preprocess, Task
from bedside.flows import variants
from bedside.runfolder import layout, stored
from bedside.runtime.graph import read_graph
from bedside.runtime.litert import LiteRTModel
from bedside.stages.contract import check_contract
from bedside.stages.convert import check_float_model, import_float_model

TASK = Task(("dark", "bright"), "bright")
PREPROCESS = Preprocess(32, 32, 1, normalise="dtype")


def brightness(count, seed=0, apart=0.12):
    """Images (n, 32, 32) uint8 and labels: 1 is brighter, with some overlap."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    level = 0.5 + apart * (labels - 0.5) + rng.normal(0, 0.05, count)
    images = np.clip(level[:, None, None] + rng.normal(0, 0.05, (count, 32, 32)), 0, 1)
    return np.rint(255 * images).astype(np.uint8), labels


def held(tmp_path, model, declared, parts=None, task=TASK, preprocess=PREPROCESS):
    run, file = tmp_path / "run", tmp_path / "net.tflite"
    tmp_path.mkdir(exist_ok=True)
    file.write_bytes(model)
    write_labelled(run, task, parts or {"val": brightness(60)}, preprocess)
    config = FloatModelConfig(str(file), contract=declared)
    import_float_model(run, config, task)
    found = check_float_model(config).understood
    return run, check_contract(run, "net", found.told.classes, found.reference())


def declared(classes=("dark", "bright"), bounds=(0.0, 1.0), **more):
    return Declared(classes, bounds, resize="stretch", **more)


@pytest.mark.parametrize("classes", [("dark", "bright"), ("bright", "dark")])
def test_the_right_contract_is_published_with_its_figures(tmp_path, classes):
    net = Classifier()
    if classes == ("bright", "dark"):
        net.head = net.head[::-1].copy()
    run, found = held(tmp_path, net.finish(net.scores()), declared(classes))
    images, labels = brightness(60)
    assert found.auc.value == pytest.approx(roc_auc_score(labels, images.mean(axis=(1, 2))),
                                            abs=0.02)
    assert found.source_auc == found.auc.value and found.images == 60
    assert found.parity.classes_differ == 0 and found.parity.largest_difference < 1e-6
    assert sum(found.called.values()) == 60 and min(found.called.values()) > 10
    file = layout.model_dir(run, "net") / layout.CONTRACT_CHECK
    assert codec.read_json(ContractCheck, file) == found


def test_swapped_classes_stop_with_the_order_to_try(tmp_path):
    with pytest.raises(GateFailed, match="worse than chance") as caught:
        held(tmp_path, network(), declared(("bright", "dark")))
    assert caught.value.exit_code == 1
    assert "swapped" in caught.value.message
    # The other order than the one declared, whatever the task's is.
    assert "--model-classes dark,bright" in caught.value.message
    assert not (layout.model_dir(tmp_path / "run", "net") / layout.CONTRACT_CHECK).exists()


@pytest.mark.parametrize(("scale", "offset", "bounds"), [
    (2.0, -1.0, (0.0, 1.0)), (255.0, 0.0, (0.0, 1.0)), (1.0, 0.0, (0.0, 255.0))],
    ids=["-1..1 read as 0..1", "0..255 read as 0..1", "0..1 read as 0..255"])
def test_another_range_that_calls_all_alike_stops(tmp_path, scale, offset, bounds):
    with pytest.raises(GateFailed, match="calls every validation image") as caught:
        held(tmp_path, network(scale=scale, offset=offset), declared(bounds=bounds))
    assert "--input-range" in caught.value.message


def test_the_test_images_are_never_read(tmp_path):
    val, test = brightness(60), brightness(40, seed=1)
    turned = (test[0], 1 - test[1])
    _, one = held(tmp_path / "a", network(), declared(), {"val": val, "test": test})
    _, other = held(tmp_path / "b", network(), declared(), {"val": val, "test": turned})
    assert one == other and one.images == 60


def test_a_weak_model_and_a_small_set_are_not_refused(tmp_path):
    """Only what is worse than chance with its whole interval is: the rest has its own floors."""
    _, weak = held(tmp_path / "a", network(), declared(), {"val": brightness(60, apart=0.0)})
    assert weak.auc.low < 0.5 < weak.auc.high
    _, few = held(tmp_path / "b", network(), declared(("bright", "dark")), {"val": brightness(4)})
    assert few.images == 4
    _, none = held(tmp_path / "c", network(), declared(), {"train": brightness(20)})
    assert none.images == 0 and none.auc.value is None and none.auc.reason


def test_a_finished_check_is_not_repeated_and_a_new_model_is_checked(tmp_path):
    run, found = held(tmp_path, network(), declared())

    class Never:
        def probabilities(self, image):
            raise AssertionError("run again")

    assert check_contract(run, "net", ("dark", "bright"), Never()) == found
    spec = stored.model_spec(run, "net")
    assert spec.preprocess == PREPROCESS and spec.origin == "external"
    with pytest.raises(GateFailed):
        held(tmp_path, network(), declared(("bright", "dark")))


def test_a_logarithm_of_probabilities_is_quantized_too(tmp_path):
    """A softmax that no rule knows: exp, sum and division, and the logarithm that we add."""
    net = Classifier()
    powers = net.op("EXP", [net.scores()], (1, 2), s.ExpOptionsT())
    options = s.ReducerOptionsT()
    options.keepDims = True
    total = net.op("SUM", [powers, net.constant(np.asarray([1], np.int32))], (1, 1), options)
    model = net.finish(net.op("DIV", [powers, total], (1, 2), s.DivOptionsT()))
    run, found = held(tmp_path, model, declared(), {"train": brightness(40, 1),
                                                    "val": brightness(60)})
    assert found.parity.classes_differ == 0
    file = layout.model_dir(run, "net") / layout.FLOAT_MODEL
    assert "LOG" in {o.op for o in read_graph(file).operations}
    variants.make(run, "net", schemes.parse("int8"), CalibrationConfig(images=20))
    model = LiteRTModel(layout.variant_dir(run, "net-int8") / layout.VARIANT_MODEL)
    images, labels = brightness(60)
    logits = np.asarray([model.run((i / np.float32(255)).astype(np.float32)[None, ..., None])[
        "logits"][0] for i in images])
    assert roc_auc_score(labels, logits[:, 1] - logits[:, 0]) == pytest.approx(
        found.auc.value, abs=0.05)
