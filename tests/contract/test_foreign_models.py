"""Every row of the cases' table: models in the shapes in which they arrive, judged by plain LiteRT.

The files lie beside the checkout (shared/cases); tests/foreign builds the same situations itself.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from labelled import write_labelled
from paths import SHARED
from sklearn.metrics import roc_auc_score

from bedside import foreign, schemes
from bedside.cli import app
from bedside.core.contract import Declared
from bedside.core.errors import BadInput, GateFailed
from bedside.core.study import CalibrationConfig, FloatModelConfig
from bedside.core.types import Task
from bedside.flows import variants
from bedside.foreign.understand import understand
from bedside.runfolder import layout
from bedside.runtime.graph import read_graph
from bedside.stages.contract import check_contract
from bedside.stages.convert import check_float_model, import_float_model

CASES = SHARED / "cases"
TASK = Task(("normal", "pneumonia"), "pneumonia")
RIGHT, OWN_MAXIMUM = 0.9347, 0.9079
DECLARED = Declared(TASK.classes, (0.0, 1.0), resize="stretch")

# File: what is declared beside the classes, the range [0, 1] and the resize.
ROWS = {
    "pneu_logits": {}, "pneu_meta": {}, "pneu_legacy": {}, "pneu_nosig": {}, "pneu_fp16": {},
    "pneu_softmax": {}, "pneu_softmax_mul": {}, "pneu_logsoftmax": {}, "pneu_sig1": {},
    "pneu_logit1": {}, "pneu_sigcat": {}, "pneu_1d": {}, "pneu_4d": {},
    "pneu_twoout": {"output": "output_0"}, "pneu_nchw": {}, "pneu_rgb": {"colour": "rgb"},
    "pneu_u255": {"input_range": (0.0, 255.0)}, "pneu_pm1": {"input_range": (-1.0, 1.0)},
    "outlier": {},
}
SCHEMES = ("float32", "float16", "dynamic", "int8")


@pytest.fixture(scope="module")
def pneumonia():
    file = CASES / "pneumonia_520.npz"
    if not file.is_file():
        pytest.skip("the cases are not beside this checkout (shared/cases)")
    with np.load(file) as data:
        return {s: (data[f"{s}_images"], data[f"{s}_labels"].reshape(-1).astype(int))
                for s in ("train", "val", "test")}


def path_of(name):
    file = CASES / "models" / f"{name}.tflite"
    if not file.is_file():
        pytest.skip("the cases are not beside this checkout (shared/cases)")
    return file


def logits(file, images, preprocess):
    """Logits by LiteRT and numpy alone, of images that need no resizing."""
    interpreter = Interpreter(model_path=str(file))
    signature = interpreter.get_signature_runner("serving_default")
    rows = []
    for image in images:
        top = 255 if preprocess.normalise == "dtype" else image.max()
        pixels = (image.astype(np.float32) / np.float32(top))[None, :, :, None]
        rows.append(signature(image=np.repeat(pixels, preprocess.channels, axis=3))["logits"][0])
    return np.asarray(rows, np.float64)


def auc(labels, scores):
    return float(roc_auc_score(labels, scores[:, 1] - scores[:, 0]))


def entered(tmp_path, name, parts, task=TASK, **more):
    """A model imported into a run, its contract held against validation, and its preprocessing."""
    run, file = tmp_path / "run", path_of(name)
    config = FloatModelConfig(str(file), contract=replace(DECLARED, **more))
    found = check_float_model(config)
    told = found.understood.told
    write_labelled(run, task, {k: v for k, v in parts.items() if k != "test"}, told.preprocess)
    import_float_model(run, config, task)
    checked = check_contract(run, found.id, told.classes, found.understood.reference())
    return run, found.id, told.preprocess, checked


@pytest.mark.parametrize("name", ROWS)
def test_each_file_gives_its_auc_with_every_scheme(tmp_path, pneumonia, name):
    run, model, preprocess, checked = entered(tmp_path, name, pneumonia, **ROWS[name])
    assert checked.parity.classes_differ == 0 and checked.parity.largest_difference < 1e-5
    assert checked.source_auc == pytest.approx(checked.auc.value, abs=1e-4)
    images, labels = pneumonia["test"]
    original = logits(layout.model_dir(run, model) / layout.FLOAT_MODEL, images, preprocess)
    assert round(auc(labels, original), 4) == RIGHT
    sizes, found = {}, {}
    for scheme in SCHEMES:
        variants.make(run, model, schemes.parse(scheme), CalibrationConfig(images=32))
        file = layout.variant_dir(run, f"{model}-{scheme}") / layout.VARIANT_MODEL
        sizes[scheme] = file.stat().st_size
        found[scheme] = auc(labels, logits(file, images, preprocess))
        kinds = {t.dtype for t in read_graph(file).tensors}
        assert {"float16": "float16", "dynamic": "int8", "int8": "int8"}.get(
            scheme, "float32") in kinds
    # Really quantized, not copied: 20,000 weights of 4, 2 and 1 bytes.
    assert sizes["float16"] < 0.65 * sizes["float32"] and sizes["int8"] < 0.5 * sizes["float32"]
    assert found["float32"] == pytest.approx(RIGHT, abs=1e-4)
    if name == "outlier":
        assert found["int8"] < RIGHT - 0.02  # made to collapse
    else:
        assert min(found.values()) > RIGHT - 0.02


def test_images_divided_by_their_own_maximum_give_the_other_figure(tmp_path, pneumonia):
    run, model, preprocess, _ = entered(tmp_path, "pneu_logits", pneumonia, normalise="max")
    images, labels = pneumonia["test"]
    found = logits(layout.model_dir(run, model) / layout.FLOAT_MODEL, images, preprocess)
    assert round(auc(labels, found), 4) == OWN_MAXIMUM


@pytest.mark.parametrize(("name", "flags"), [
    ("pneu_logits", ["--model-classes", "--input-range", "--resize"]),
    ("pneu_u255", ["--model-classes", "--input-range", "--resize"]),
    ("pneu_pm1", ["--model-classes", "--input-range", "--resize"]),
    ("pneu_rgb", ["--model-classes", "--input-range", "--colour", "--resize"]),
    ("pneu_meta", ["--input-range", "--resize"]), ("pneu_twoout", ["--output output_0"])])
def test_without_a_declaration_each_is_refused_with_the_flags_to_give(name, flags):
    with pytest.raises(BadInput) as caught:
        understand(path_of(name), Declared())
    assert all(f in caught.value.message for f in flags), caught.value.message


def test_packed_labels_are_read_and_held_against_the_images(tmp_path, pneumonia):
    """The labels packed in pneu_meta are turned: believed, they would mirror every answer."""
    told = understand(path_of("pneu_meta"), Declared(input_range=(0.0, 1.0), resize="stretch")).told
    assert told.classes == ("pneumonia", "normal")
    with pytest.raises(GateFailed, match=r"order was pneumonia,normal \(labels\.txt packed"):
        entered(tmp_path, "pneu_meta", pneumonia, classes=())


@pytest.mark.parametrize(("name", "bounds"), [("pneu_u255", (0.0, 1.0)), ("pneu_pm1", (0.0, 1.0)),
                                              ("pneu_logits", (0.0, 255.0))])
def test_a_wrong_range_never_passes_in_silence(tmp_path, pneumonia, name, bounds):
    """What the labels cannot show stays visible: the contract's own figures on validation."""
    try:
        _, _, _, checked = entered(tmp_path, name, pneumonia, input_range=bounds)
    except GateFailed as error:
        assert "--input-range" in error.message
    else:
        right = entered(tmp_path / "right", name, pneumonia, **ROWS[name])[3]
        assert checked.auc.value != right.auc.value or checked.called != right.called


def breast(parts):
    file = SHARED / "data" / "breastmnist_28_trainval.npz"
    if not file.is_file():
        pytest.skip("the BreastMNIST images are not beside this checkout (shared/data)")
    with np.load(file) as data:
        return {s: (data[f"{s}_images"], 1 - data[f"{s}_labels"].reshape(-1).astype(int))
                for s in parts}


def test_breastmnists_order_is_put_into_the_tasks(tmp_path):
    """Label 0 is malignant there; the task has the positive class last."""
    task = Task(("other", "malignant"), "malignant")
    parts = breast(("train", "val"))
    order = ("malignant", "other")
    run, model, preprocess, checked = entered(tmp_path, "breast_logits", parts, task, classes=order)
    assert checked.auc.low > 0.5
    images, labels = parts["val"]
    found = logits(layout.model_dir(run, model) / layout.FLOAT_MODEL, images, preprocess)
    assert auc(labels, found) == pytest.approx(checked.auc.value, abs=1e-6)
    with pytest.raises(GateFailed, match="worse than chance") as caught:
        entered(tmp_path / "mirrored", "breast_logits", parts, task, classes=order[::-1])
    assert "--model-classes malignant,other" in caught.value.message


@pytest.mark.parametrize("name", ROWS)
def test_inspect_says_what_each_file_is(capsys, name):
    assert app.guarded(["inspect", str(path_of(name)), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == []
    assert ("--output output_0" in found["needed"]) == (name == "pneu_twoout")
    assert found["operators"]["FULLY_CONNECTED"] == 1
    assert found["precision"] == ("float16 weights, computes in float32" if name == "pneu_fp16"
                                  else "float32")
    kinds = {"pneu_softmax": "probabilities", "pneu_softmax_mul": "probabilities",
             "pneu_sigcat": "probabilities", "pneu_sig1": "probabilities",
             "pneu_logsoftmax": "log-probabilities", "pneu_twoout": None}
    assert found["output_kind"] == kinds.get(name, "logits")
    assert found["labels"] == (["pneumonia", "normal"] if name == "pneu_meta" else [])


def test_every_format_names_a_reader():
    for suffix, name in foreign.FORMATS.items():
        assert suffix == suffix.lower() and suffix.startswith(".")
        assert name.startswith("bedside.foreign.") and foreign.is_model(Path(f"net{suffix}"))
