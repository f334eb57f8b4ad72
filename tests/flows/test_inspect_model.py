"""``inspect`` and ``import-model`` as a person uses them."""

from __future__ import annotations

import json

import pytest
from foreign_models import Classifier, integers, network, packed, softmax

from bedside.cli import app
from bedside.core import codec
from bedside.core.contract import Contract, Declared
from bedside.core.errors import BadInput
from bedside.flows.inspect_model import import_model, inspect_model, is_data
from bedside.runtime.litert import LiteRTModel

DECLARED = ("--model-classes", "dark,bright", "--input-range", "0,1", "--resize", "stretch")


def _file(folder, model, name="net.tflite"):
    file = folder / name
    file.write_bytes(model)
    return file


def test_inspect_describes_a_model(tmp_path):
    net = Classifier(channels=3, half=True, input_signature=(-1, 32, 32, 3))
    model = net.finish(net.op("SOFTMAX", [net.scores()], (1, 2), softmax()), name="probs")
    found = inspect_model(_file(tmp_path, packed(model, "dark\nbright\n")))
    assert found.operators == {"CONV_2D": 1, "DEQUANTIZE": 1, "FULLY_CONNECTED": 1, "MEAN": 1,
                               "SOFTMAX": 1}
    assert found.precision == "float16 weights, computes in float32"
    assert [(i.name, i.shape) for i in found.inputs] == [("args_0", (-1, 32, 32, 3))]
    assert [(o.name, o.shape) for o in found.outputs] == [("probs", (1, 2))]
    assert found.output_kind == "probabilities" and "SOFTMAX" in found.output_from
    assert found.labels == ("dark", "bright") and found.layout == "channels last"
    assert found.problems == ()
    assert [n.split()[0] for n in found.needed] == ["--input-range", "--colour", "--resize"]


def test_inspect_tells_logits_by_their_values(tmp_path):
    found = inspect_model(_file(tmp_path, network()))
    assert found.output_kind == "logits" and "values" in found.output_from


def test_inspect_describes_what_cannot_enter(tmp_path, capsys):
    net = Classifier()
    model = net.finish(net.op("CUSTOM", [net.scores()], (1, 2), custom="MyOp"))
    found = inspect_model(_file(tmp_path, model))
    assert found.operators["MyOp"] == 1 and found.output_kind is None
    assert "custom operations (MyOp)" in found.problems[0]
    assert app.guarded(["inspect", str(tmp_path / "net.tflite")]) == 0
    shown = capsys.readouterr().out
    assert "cannot be imported" in shown and "MyOp" in shown


def test_inspect_of_several_signatures_says_so(tmp_path):
    net = Classifier()
    logits = net.scores()
    other = net.op("SOFTMAX", [logits], (1, 2), softmax())
    model = net.done([net.image], [logits, other], [
        ("a", {"x": net.image}, {"y": logits}), ("b", {"x": net.image}, {"y": other})])
    found = inspect_model(_file(tmp_path, model))
    assert found.signatures == ("a", "b") and found.problems == ()
    # A choice is a person's; it does not keep the file out.
    assert found.needed[0] == "--signature a" and found.output_kind == "logits"


def test_integers_without_parameters_are_called_so(tmp_path):
    found = inspect_model(_file(tmp_path, integers(False)))
    assert "without scale and zero point" in found.precision
    assert "without scale and zero point" in found.problems[0]
    assert inspect_model(_file(tmp_path, integers(True))).precision == "int8"


def test_a_path_is_a_model_by_its_suffix(tmp_path):
    assert not is_data(_file(tmp_path, network()))
    assert is_data(tmp_path) and is_data(_file(tmp_path, b"a,b", "cases.csv"))
    import_model(tmp_path / "net.tflite", tmp_path / "out", Declared(
        ("a", "b"), (0.0, 1.0), resize="fit"))
    assert not is_data(tmp_path / "out")  # a folder that import-model wrote is a model
    assert inspect_model(tmp_path / "out").needed == ()


def test_import_writes_the_model_and_its_contract(tmp_path, capsys):
    file = _file(tmp_path, network(scale=255.0), "my net.tflite")
    out = tmp_path / "new" / "out"
    flags = ("--model-classes", "dark,bright", "--input-range", "0,255", "--resize", "crop",
             "--filter", "nearest")
    assert app.guarded(["import-model", str(file), "--out", str(out), *flags, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    contract = codec.read_toml(Contract, out / "contract.toml")
    assert told["contract"] == codec.encode(contract)
    assert contract.classes == ("dark", "bright") and contract.input_range == (0.0, 255.0)
    assert contract.preprocess.resize == "nearest-crop" and contract.source == "my net.tflite"
    assert told["parity"]["classes_differ"] == 0
    assert LiteRTModel(out / "my net.tflite").classes == 2
    assert app.guarded(["import-model", str(file), "--out", str(out), *flags]) == 0
    shown = capsys.readouterr()
    assert "dark, bright" in shown.out and "synthetic images" in shown.out


@pytest.mark.parametrize(("flags", "fault"), [
    ((), "neither declared nor in the file"),
    (("--model-classes", "a,b,c", *DECLARED[2:]), "3 names for a model of 2"),
    (("--model-classes", "a,b", "--input-range", "0,1", "--resize", "stretch", "--output", "x"),
     "no output is named 'x'")])
def test_a_refused_import_leaves_nothing(tmp_path, capsys, flags, fault):
    file = _file(tmp_path, network())
    assert app.guarded(["import-model", str(file), "--out", str(tmp_path / "out"), *flags]) == 2
    said = capsys.readouterr()
    assert fault in said.err and len(said.err.splitlines()) == 1 and not said.out
    assert not (tmp_path / "out").exists()


def test_a_model_is_not_written_over_itself(tmp_path):
    file = _file(tmp_path, network())
    with pytest.raises(BadInput, match="file to import itself"):
        import_model(file, tmp_path, Declared(("a", "b"), (0.0, 1.0), resize="fit"))
    assert file.read_bytes() == network()


def test_preprocessing_of_a_file_takes_the_place_of_flags(tmp_path):
    file = _file(tmp_path, network())
    (tmp_path / "p.toml").write_text('height_px = 32\nwidth_px = 32\nresize = "area-fit"\n')
    _, contract, _ = import_model(file, tmp_path / "out", Declared(("a", "b")), tmp_path / "p.toml")
    assert contract.preprocess.resize == "area-fit" and contract.preprocess.normalise == "max"
    assert contract.origin["resize"] == "--preprocess"
