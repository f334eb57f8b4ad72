"""Conversion: parity with torch as a gate, file sizes, models trained elsewhere."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from tiny import write_tiny_data, write_untrained

from bedside import schemes
from bedside.core import codec
from bedside.core.contract import Contract, Declared
from bedside.core.errors import BadInput, GateFailed
from bedside.core.study import CalibrationConfig, FloatModelConfig, ModelConfig
from bedside.core.types import Task
from bedside.runfolder import layout, stored
from bedside.stages import calibrate, convert, quantize


def test_the_converted_logits_are_torchs(tiny_run):
    import torch

    from bedside.runtime.litert import LiteRTModel

    spec = stored.model_spec(tiny_run, "resnet34")
    folder = layout.model_dir(tiny_run, "resnet34")
    module = convert.load_module(spec, folder / layout.WEIGHTS)
    model = LiteRTModel(folder / layout.FLOAT_MODEL)
    with stored.pixel_store(tiny_run, spec.preprocess) as store, torch.inference_mode():
        for image in store.tensors(store.ids):
            wanted = module(torch.from_numpy(image))
            found = model.run(image)
            for name in ("logits", "cam"):
                np.testing.assert_allclose(found[name], wanted[name].numpy(), atol=1e-5)
            # GAP of the activation map is the logit (Zhou et al. 2016).
            np.testing.assert_allclose(found["cam"].mean(axis=(1, 2)), found["logits"], atol=1e-5)


def test_a_conversion_that_differs_fails_the_gate(tiny_run, tmp_path, monkeypatch):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    before = (layout.model_dir(run, "resnet34") / layout.FLOAT_MODEL).read_bytes()
    monkeypatch.setattr(convert, "PARITY_TOLERANCE", -1.0)
    monkeypatch.setattr(convert.artefact, "finished", lambda *_: False)
    monkeypatch.setattr(convert, "_export", lambda module, spec, path: path.write_bytes(before))
    with pytest.raises(GateFailed) as caught:
        convert.convert(run, "resnet34")
    assert caught.value.exit_code == 1
    assert "differ from torch's" in caught.value.message
    assert (layout.model_dir(run, "resnet34") / layout.FLOAT_MODEL).read_bytes() == before


def test_logits_that_are_no_numbers_fail_the_gate(tiny_run, tmp_path):
    from bedside.runtime.graph import parse_graph

    spec = stored.model_spec(tiny_run, "resnet34")
    folder = layout.model_dir(tiny_run, "resnet34")
    data = bytearray((folder / layout.FLOAT_MODEL).read_bytes())
    graph = parse_graph(data)
    bias = graph.constant(graph.convolutions()[-1].inputs[2])
    assert bias is not None
    bias[:] = np.nan
    file = tmp_path / "broken.tflite"
    file.write_bytes(data)
    with pytest.raises(GateFailed, match="nan"):
        convert._parity(tiny_run, spec, convert.load_module(spec, folder / layout.WEIGHTS), file)


def test_files_of_a_real_network_are_half_and_a_third_at_most(tmp_path):
    run = tmp_path / "run"
    write_tiny_data(run, px=64)
    model = write_untrained(run, ModelConfig("efficientnet_lite0", image_px=64))
    convert.convert(run, model)
    folder = calibrate.calibrate(run, model, CalibrationConfig(images=4))
    sizes = {}
    for scheme in ("float32", "float16", "dynamic", "int8"):
        needed = schemes.parse(scheme).scheme.needs_calibration
        quantize.quantize(run, model, schemes.parse(scheme), folder if needed else None,
                          calibrate.read_ranges(folder) if needed else None)
        file = layout.variant_dir(run, f"{model}-{scheme}") / layout.VARIANT_MODEL
        sizes[scheme] = file.stat().st_size
    assert sizes["float16"] <= 0.55 * sizes["float32"]
    assert sizes["dynamic"] <= 0.32 * sizes["float32"]
    assert sizes["int8"] <= 0.32 * sizes["float32"]


# ------------------------------------------------------------------ models trained elsewhere


DECLARED = Declared(("a", "b"), (0.0, 1.0), resize="stretch")


def _config(file, declared=DECLARED, **more):
    return FloatModelConfig(str(file), contract=declared, **more)


def _export(path, forward, **inputs):
    """A model of one convolution with any inputs and outputs."""
    import contextlib
    import io

    import litert_torch
    import torch

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(1, 4, 3)

        def forward(self, **kwargs):
            return forward(self, **kwargs)

    class One(Net):
        def forward(self, image):
            return forward(self, image)

    class Two(Net):
        def forward(self, image, age):
            return forward(self, image, age)

    module = (Two if len(inputs) == 2 else One)().eval()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        litert_torch.signature("serving_default", module, sample_kwargs=inputs).convert().export(
            str(path))
    return path


def _features(net, image):
    return net.conv(image.permute(0, 3, 1, 2))


SHAPES = {
    "two inputs": (lambda n, i, a: _features(n, i).mean((2, 3)) + a, 2, "2 inputs"),
    "flat input": (lambda n, i: i[:, :2], 1, "(1, H, W, C)"),
    "map output": (lambda n, i: _features(n, i), 1, "(1, K)"),
    "two outputs": (lambda n, i: {"a": _features(n, i).mean((2, 3)),
                                  "b": _features(n, i).mean((2, 3)) * 2}, 1, "2 outputs"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_that_cannot_work_are_named(name, tmp_path):
    import torch

    forward, inputs, fault = SHAPES[name]
    image = torch.zeros(1, 8) if name == "flat input" else torch.zeros(1, 16, 16, 1)
    given = {"image": image} | ({"age": torch.zeros(1, 4)} if inputs == 2 else {})
    file = _export(tmp_path / "net.tflite", forward, **given)
    with pytest.raises(BadInput) as caught:
        convert.import_float_model(tmp_path / "run", _config(file),
                                   Task(("a", "b"), "b"))
    assert "net.tflite" in caught.value.message
    assert fault in caught.value.message


def test_a_final_softmax_is_cut(tmp_path):
    """Its softmax, as a bundle would show it, would be wrong probabilities."""
    import torch

    from bedside.runtime.graph import read_graph

    file = _export(tmp_path / "net.tflite",
                   lambda n, i: _features(n, i).mean((2, 3))[:, :2].softmax(1),
                   image=torch.zeros(1, 16, 16, 1))
    convert.import_float_model(tmp_path / "run", _config(file), Task(("b", "a"), "a"))
    folder = layout.model_dir(tmp_path / "run", "net")
    assert "SOFTMAX" not in {o.op for o in read_graph(folder / layout.FLOAT_MODEL).operations}
    contract = codec.read_toml(Contract, folder / layout.CONTRACT)
    # In the task's order, whatever the model's own.
    assert contract.classes == ("b", "a") and contract.output_kind == "probabilities"


def test_classes_that_are_not_the_tasks_are_refused(tmp_path):
    import torch

    file = _export(tmp_path / "net.tflite", lambda n, i: _features(n, i).mean((2, 3))[:, :2],
                   image=torch.zeros(1, 16, 16, 1))
    with pytest.raises(BadInput, match="classes are a, b, the task's benign, malignant") as caught:
        convert.import_float_model(tmp_path / "run", _config(file),
                                   Task(("benign", "malignant"), "malignant"))
    assert "--model-classes" in caught.value.message
    assert not (tmp_path / "run" / "models").exists()


def test_any_names_of_input_and_output_will_do(tmp_path):
    import torch

    file = _export(tmp_path / "my net.tflite",
                   lambda n, i: {"scores": _features(n, i).mean((2, 3))[:, :2]},
                   image=torch.zeros(1, 16, 16, 1))
    spec = convert.import_float_model(tmp_path / "run", _config(file),
                                      Task(("a", "b"), "b"))
    assert spec.id == "my_net"
    assert spec.origin == "external"
    assert spec.preprocess.height_px == 16
    assert stored.model_spec(tmp_path / "run", "my_net").last_conv


@pytest.mark.parametrize(("text", "fault"), [
    ("height_px = 16\nwidth_px = 16\nmean = [0.1, 0.2]\n", "mean has 2"),
    ("height_px = 16\nwidth_px = 16\nstd = [0.0]\n", "std must be above 0"),
    ("height = 16\n", "Did you mean"),
])
def test_preprocessing_that_does_not_fit(tmp_path, text, fault):
    import torch

    file = _export(tmp_path / "net.tflite", lambda n, i: _features(n, i).mean((2, 3))[:, :2],
                   image=torch.zeros(1, 16, 16, 1))
    (tmp_path / "p.toml").write_text(text)
    with pytest.raises(BadInput, match=r"p\.toml") as caught:
        convert.import_float_model(tmp_path / "run", _config(
            file, Declared(("a", "b")), preprocess=str(tmp_path / "p.toml")), Task(("a", "b"), "b"))
    assert fault in caught.value.message


def test_a_quantized_model_is_not_a_float_model(tiny_run, tmp_path):
    quantize.quantize(tiny_run, "resnet34", schemes.parse("dynamic"), None, None)
    file = layout.variant_dir(tiny_run, "resnet34-dynamic") / layout.VARIANT_MODEL
    with pytest.raises(BadInput, match="not a floating-point model"):
        convert.import_float_model(tmp_path / "run", _config(file),
                                   Task(("a", "b"), "b"))
