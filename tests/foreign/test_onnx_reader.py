"""ONNX classifiers as float .tflite: real images, the four networks there and back, bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, external_data_helper, helper
from onnx_models import classifier, constant, model, node, weights
from paths import SHARED
from sklearn.metrics import roc_auc_score

from bedside.core import registry
from bedside.core.errors import BadInput
from bedside.foreign import FORMATS
from bedside.foreign.onnx_reader import to_tflite
from bedside.runtime.graph import parse_graph
from bedside.runtime.litert import LiteRTModel
from bedside.targets import ort
from bedside.targets.tflite_onnx import write_onnx

CASES = SHARED / "cases"


def _write(path: Path, made) -> Path:
    path.write_bytes(made.SerializeToString())
    return path


# ------------------------------------------------------------------ parity


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not beside this checkout "
                                               "(shared/cases)")
def test_the_pneumonia_network_keeps_its_auc_and_its_logits():
    path = CASES / "models" / "pneu.onnx"
    loaded = LiteRTModel(Path("pneu"), content=to_tflite(path))
    session = ort.cpu_session(path, 1)
    with np.load(CASES / "pneumonia_520.npz") as data:
        images, labels = data["test_images"], data["test_labels"].ravel()
    ours, theirs = [], []
    for image in images:
        real = image.astype(np.float32) / 255
        ours.append(loaded.run(real[None, :, :, None])["logits"][0])
        theirs.append(next(iter(ort.outputs(session, {"input.1": real[None, None]}).values()))[0])
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    scores = np.array(ours)
    assert round(roc_auc_score(labels, scores[:, 1] - scores[:, 0]), 4) == 0.9347


@pytest.mark.parametrize("name", ["vgg16", "googlenet", "resnet34", "efficientnet_lite0"])
def test_a_network_comes_back_from_onnx_with_the_same_outputs(name, tmp_path):
    import torch

    from bedside.core.study import ModelConfig
    from bedside.core.types import Preprocess
    from bedside.models import MODELS
    from bedside.stages.convert import _export

    torch.manual_seed(0)
    config = ModelConfig(name, image_px=64, width=0.25, weights="random")
    module = registry.lookup(MODELS, name, "model")(config, 2).train()
    with torch.no_grad():
        module(torch.rand(8, 64, 64, 1))
    _export(module.eval(), Preprocess(64, 64), tmp_path / "float.tflite")
    write_onnx(tmp_path / "float.tflite", tmp_path / "model.onnx")
    data = to_tflite(tmp_path / "model.onnx")
    before, after = LiteRTModel(tmp_path / "float.tflite"), LiteRTModel(Path("m"), content=data)
    assert set(after.outputs) == {"logits", "cam"}
    for seed in range(3):
        image = np.random.default_rng(seed).random((1, 64, 64, 1), np.float32)
        want, found = before.run(image), after.run(image)
        for key in ("logits", "cam"):
            span = max(1.0, float(np.abs(want[key]).max()))
            np.testing.assert_allclose(found[key], want[key], atol=1e-4 * span)
    # As many layers, so that a quantizer finds what it found before.
    again = parse_graph(data)
    original = parse_graph((tmp_path / "float.tflite").read_bytes())
    assert len(again.convolutions()) == len(original.convolutions())


def test_a_converted_model_quantizes(tmp_path):
    from bedside import schemes
    from bedside.schemes import postcondition, quantizer

    data = to_tflite(_write(tmp_path / "m.onnx", classifier()))
    for name in ("float16", "dynamic"):
        choice = schemes.parse(name)
        made = quantizer.apply(data, choice.module.recipe(frozenset()), None)
        assert postcondition.format_fault(choice, data, made) is None


def test_the_table_of_formats_names_the_reader():
    assert FORMATS[".onnx"] == "bedside.foreign.onnx_reader"


@pytest.mark.parametrize("batch", ["N", 1])
def test_an_open_batch_is_one_image(tmp_path, batch):
    data = to_tflite(_write(tmp_path / "m.onnx", classifier((batch, 3, 12, 10))))
    loaded = LiteRTModel(Path("m"), content=data)
    assert loaded.input.shape == (1, 12, 10, 3)
    assert list(parse_graph(data).input_names) == ["x"]
    assert list(parse_graph(data).output_names) == ["y"]


def test_weights_may_lie_in_a_file_beside_the_model(tmp_path):
    onnx.save_model(classifier(), str(tmp_path / "m.onnx"), save_as_external_data=True,
                    location="m.data", size_threshold=0)
    assert to_tflite(tmp_path / "m.onnx") == to_tflite(_write(tmp_path / "whole.onnx",
                                                               classifier()))


# ------------------------------------------------------------------ bad input


def _external(place: str):
    made = classifier()
    external_data_helper.set_external_data(made.graph.initializer[0], place)
    made.graph.initializer[0].ClearField("raw_data")
    return made


BAD = {
    "an unknown operator": (lambda: model([node("NonZero", "x", "y")]), "NonZero"),
    "a recurrent operator": (lambda: model([node("LSTM", "x w w", "y", hidden_size=2)],
                                           [constant("w", weights(1, 8, 2))]), "LSTM"),
    "a resize": (lambda: model([node("Resize", "x n s", "y")], [
        constant("n", np.float32([])), constant("s", np.float32([1, 1, 2, 2]))]), "Resize"),
    "two computed matrices": (lambda: model([node("MatMul", "x x", "y")], shape=(1, 3, 8, 8)),
                              "multiplies two computed values"),
    "an operator of another domain": (lambda: model([helper.make_node(
        "FusedConv", ["x"], ["y"], domain="com.microsoft")]), "com.microsoft"),
    "a quantized model": (lambda: model([node("QuantizeLinear", "x s", "y")],
                                        [constant("s", np.float32(0.1))]), "quantized already"),
    "an old operator set": (lambda: classifier(opset=7), "operator set 7"),
    "a new operator set": (lambda: classifier(opset=999), "operator set 999"),
    "two inputs": (lambda: model([node("Add", "x z", "y")], inputs=("x", "z")), r"2 inputs \(x, z"),
    "open sides": (lambda: classifier((1, 3, "H", "W")), "left open"),
    "a batch of eight": (lambda: classifier((8, 3, 12, 10)), "8 images at once"),
    "a row of numbers": (lambda: classifier((1, 30)), "2 dimensions"),
    "integer pixels": (lambda: classifier(kind=TensorProto.UINT8), "UINT8"),
    "half precision": (lambda: model([node("Add", "x w", "y")], [
        constant("w", weights(3, 1, 1).astype(np.float16))]), "FLOAT16"),
    "channels nowhere": (lambda: model([node("Relu", "x", "y")], shape=(1, 5, 12, 10)),
                         "1 or 3 channels"),
    "an output of constants": (lambda: model([node("Relu", "x", "z"), helper.make_node(
        "Constant", [], ["y"], value_float=1.0)]), "does not depend on the image"),
    "weights of another shape": (lambda: model([node("Conv", "x w", "y")],
                                               [constant("w", weights(4, 5, 3, 3))]), "weights of"),
    "a reshape of the batch": (lambda: model([node("Reshape", "x s", "y")], [
        constant("s", np.int64([7, 11]))]), r"makes \[7, 11\]"),
    "data above the folder": (lambda: _external("../secret.bin"), "outside the model's folder"),
    "data at the root": (lambda: _external("/etc/passwd"), "outside the model's folder"),
    "data that are missing": (lambda: _external("gone.bin"), "gone.bin is missing"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_message_with_a_remedy(tmp_path, name):
    made, said = BAD[name]
    (tmp_path / "secret.bin").write_bytes(bytes(1000))
    folder = tmp_path / "model"
    folder.mkdir()
    path = _write(folder / "m.onnx", made())
    with pytest.raises(BadInput, match=said) as caught:
        to_tflite(path)
    assert caught.value.exit_code == 2
    assert caught.value.remedy
    assert caught.value.where == str(path)


def test_a_link_that_leaves_the_folder_is_not_followed(tmp_path):
    (tmp_path / "secret.bin").write_bytes(bytes(1000))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "near.bin").symlink_to(tmp_path / "secret.bin")
    with pytest.raises(BadInput, match="outside the model's folder"):
        to_tflite(_write(folder / "m.onnx", _external("near.bin")))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.95])
def test_a_truncated_file_is_bad_input(tmp_path, share):
    whole = classifier().SerializeToString()
    (tmp_path / "m.onnx").write_bytes(whole[:int(share * len(whole))])
    with pytest.raises(BadInput):
        to_tflite(tmp_path / "m.onnx")


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\3\4zip", bytes(range(256)) * 8])
def test_what_is_no_onnx_is_bad_input(tmp_path, content):
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(BadInput, match="ONNX"):
        to_tflite(tmp_path / "m.onnx")
    with pytest.raises(BadInput, match="cannot be read"):
        to_tflite(tmp_path / "gone.onnx")


def test_weights_cut_short_beside_the_model_are_bad_input(tmp_path):
    onnx.save_model(classifier(), str(tmp_path / "m.onnx"), save_as_external_data=True,
                    location="m.data", size_threshold=0)
    (tmp_path / "m.data").write_bytes((tmp_path / "m.data").read_bytes()[:50])
    with pytest.raises(BadInput):
        to_tflite(tmp_path / "m.onnx")


def test_a_damaged_file_is_bad_input_or_another_model(tmp_path):
    """One byte changed at a time: never another exception."""
    whole = bytearray(classifier().SerializeToString())
    rng = np.random.default_rng(0)
    refused = 0
    for place in rng.integers(0, len(whole), 150):
        damaged = bytearray(whole)
        damaged[place] ^= int(rng.integers(1, 256))
        (tmp_path / "m.onnx").write_bytes(damaged)
        try:
            to_tflite(tmp_path / "m.onnx")
        except BadInput:
            refused += 1
    assert refused > 10


def test_a_wrong_conversion_is_never_returned(tmp_path, monkeypatch):
    """The comparison with ONNX Runtime can fail: an operator that computes something else."""
    from bedside.foreign import onnx_operators

    monkeypatch.setitem(onnx_operators.READERS, "Sigmoid", onnx_operators._same)
    path = _write(tmp_path / "m.onnx", model([node("Sigmoid", "x", "y")]))
    with pytest.raises(BadInput, match="differs from ONNX Runtime's"):
        to_tflite(path)
