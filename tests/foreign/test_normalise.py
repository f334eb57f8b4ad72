"""A foreign classifier in every shape gives the answers of its file, by LiteRT and numpy alone."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from foreign_models import Classifier, concatenation, network, packed, s, softmax

from bedside.core.contract import Declared
from bedside.core.errors import BadInput, GateFailed
from bedside.core.types import Preprocess
from bedside.foreign import normalise as n
from bedside.foreign.understand import understand
from bedside.runtime.graph import parse_graph

DECLARED = Declared(("dark", "bright"), (0.0, 1.0), resize="stretch")


def images(px=32, channels=1, count=12):
    rng = np.random.default_rng(7)
    plain = [np.full((px, px, channels), v) + rng.normal(0, 0.15, (px, px, channels))
             for v in np.linspace(0.2, 0.8, count)]
    return [np.clip(p, 0, 1)[None].astype(np.float32) for p in plain]


def judged(model: bytes, inputs, output=0) -> np.ndarray:
    """The outputs of a file for inputs in its own form, by LiteRT alone: (n, K)."""
    interpreter = Interpreter(model_content=model)
    detail = interpreter.get_input_details()[0]
    if tuple(detail["shape"]) != inputs[0].shape:
        interpreter.resize_tensor_input(detail["index"], inputs[0].shape)
    interpreter.allocate_tensors()
    rows = []
    for values in inputs:
        interpreter.set_tensor(detail["index"], values.astype(detail["dtype"]))
        interpreter.invoke()
        rows.append(interpreter.get_tensor(
            interpreter.get_output_details()[output]["index"]).reshape(-1).copy())
    return np.asarray(rows, np.float64)


def probabilities(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def entered(tmp_path, model: bytes, declared=DECLARED, order=(), given=None, name="net.tflite"):
    file = tmp_path / name
    file.write_bytes(model)
    return n.normalise(understand(file, declared, given), order)


# ------------------------------------------------------------------ heads


def _with(head, **foreign):
    net = Classifier(**foreign)
    return net.finish(head(net, net.scores()))


def _sigmoid(net, logits):
    return net.op("LOGISTIC", [net.difference(logits)], (1, 1))


def _one_minus(net, p):
    return net.op("SUB", [net.constant(np.ones((1, 1), np.float32)), p], (1, 1), s.SubOptionsT())


def _pair(net, logits, turned=False):
    p = _sigmoid(net, logits)
    parts = [_one_minus(net, p), p]
    return net.op("CONCATENATION", parts[::-1] if turned else parts, (1, 2), concatenation(1))


def _times_one(net, tensor):
    return net.op("MUL", [tensor, net.constant(np.ones(1, np.float32))], (1, 2), s.MulOptionsT())


def _hidden_softmax(net, logits):
    """Softmax of two as a sigmoid of the difference, which no rule of ours knows: by value."""
    p = net.op("LOGISTIC", [net.difference(logits)], (1, 1))
    half = net.op("MUL", [p, net.constant(np.full((1, 1), 0.5, np.float32))], (1, 1),
                  s.MulOptionsT())
    whole = net.op("ADD", [half, half], (1, 1), s.AddOptionsT())
    return net.op("CONCATENATION", [_one_minus(net, whole), whole], (1, 2), concatenation(1))


def _reshaped(shape):
    def head(net, logits):
        return net.op("RESHAPE", [logits, net.constant(np.asarray(shape, np.int32))], shape,
                      s.ReshapeOptionsT())
    return head


# Name: the head, the kind it is read as, and how its file's output becomes probabilities.
HEADS = {
    "logits": (lambda net, t: t, "logits", probabilities),
    "softmax": (lambda net, t: net.op("SOFTMAX", [t], (1, 2), softmax()), "probabilities",
                lambda v: v),
    "softmax of beta": (lambda net, t: net.op("SOFTMAX", [t], (1, 2), softmax(0.5)),
                        "probabilities", lambda v: v),
    "softmax times one": (lambda net, t: _times_one(net, net.op("SOFTMAX", [t], (1, 2), softmax())),
                          "probabilities", lambda v: v),
    "log-softmax": (lambda net, t: net.op("LOG_SOFTMAX", [t], (1, 2)), "log-probabilities", np.exp),
    "log of softmax": (lambda net, t: net.op(
        "LOG", [net.op("SOFTMAX", [t], (1, 2), softmax())], (1, 2)), "log-probabilities", np.exp),
    "one logit": (lambda net, t: net.difference(t), "logits",
                  lambda v: np.hstack([1 - 1 / (1 + np.exp(-v)), 1 / (1 + np.exp(-v))])),
    "one sigmoid": (_sigmoid, "probabilities", lambda v: np.hstack([1 - v, v])),
    "1 - p, p": (_pair, "probabilities", lambda v: v),
    "p, 1 - p": (lambda net, t: _pair(net, t, True), "probabilities", lambda v: v),
    "probabilities by value": (_hidden_softmax, "probabilities", lambda v: v),
    "one dimension": (_reshaped((2,)), "logits", probabilities),
    "four dimensions": (_reshaped((1, 1, 1, 2)), "logits", probabilities),
}


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("order", [(), ("bright", "dark")], ids=["own", "turned"])
def test_logits_come_out_of_every_head(tmp_path, name, order):
    head, kind, as_probabilities = HEADS[name]
    model = _with(head)
    done = entered(tmp_path, model, order=order)
    assert done.contract.output_kind == kind
    wanted = as_probabilities(judged(model, images()))[:, ::-1 if order else 1]
    # The classifier tells the images apart, else nothing would be shown.
    assert len(set(wanted.argmax(axis=1))) == 2
    found = judged(done.content, images())
    assert found.shape == (12, 2)
    np.testing.assert_allclose(probabilities(found), wanted, atol=1e-5)
    graph = parse_graph(done.content)
    assert graph.input_names.keys() == {"image"} and graph.output_names.keys() == {"logits"}
    assert graph.tensors[graph.outputs[0]].shape == (1, 2)
    left = {o.op for o in graph.operations}
    if name != "probabilities by value":
        assert not left & {"SOFTMAX", "LOG_SOFTMAX", "LOGISTIC", "LOG"}


def test_one_sigmoid_a_class_keeps_the_likeliest(tmp_path):
    model = _with(lambda net, t: net.op("LOGISTIC", [t], (1, 2)))
    done = entered(tmp_path, model)
    assert done.contract.output_kind == "sigmoids"
    own, found = judged(model, images()), judged(done.content, images())
    np.testing.assert_allclose(1 / (1 + np.exp(-found)), own, atol=1e-6)


def test_a_single_score_between_zero_and_one_is_asked_about(tmp_path):
    def hidden(net, logits):
        p = _sigmoid(net, logits)
        half = net.op("MUL", [p, net.constant(np.full((1, 1), 0.5, np.float32))], (1, 1),
                      s.MulOptionsT())
        return net.op("ADD", [half, half], (1, 1), s.AddOptionsT())

    model = _with(hidden)
    with pytest.raises(BadInput, match="--output-kind logits or probabilities"):
        entered(tmp_path, model)
    done = entered(tmp_path, model, Declared(("dark", "bright"), (0.0, 1.0), resize="stretch",
                                             output_kind="probabilities"))
    p = judged(model, images())
    np.testing.assert_allclose(probabilities(judged(done.content, images())),
                               np.hstack([1 - p, p]), atol=1e-5)


# ------------------------------------------------------------------ inputs

RANGES = {"0..255": (0.0, 255.0), "-1..1": (-1.0, 1.0), "0..1": (0.0, 1.0)}


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("name", RANGES)
def test_the_declared_range_goes_into_the_graph(tmp_path, name, padding):
    low, high = RANGES[name]
    model = network(padding=getattr(s.Padding, padding), scale=high - low, offset=low)
    done = entered(tmp_path, model, Declared(("dark", "bright"), (low, high), resize="stretch"))
    wanted = judged(model, [low + i * (high - low) for i in images()])
    np.testing.assert_allclose(judged(done.content, images()), wanted, atol=1e-4)
    # Where padding is zero a shift is not exact inside the first convolution.
    convolutions = [o.op for o in parse_graph(done.content).operations].count("CONV_2D")
    assert convolutions == (2 if (name, padding) == ("-1..1", "SAME") else 1)


@pytest.mark.parametrize("colour", ["rgb", "bgr"])
def test_mean_std_and_colour_order_go_into_the_graph(tmp_path, colour):
    mean, std = (0.1, 0.4, 0.2), (0.9, 0.5, 0.8)
    model = network(channels=3, weights=[0.7, 0.2, 0.1])
    declared = Declared(("dark", "bright"), (0.0, 1.0), mean, std, colour, "stretch")
    done = entered(tmp_path, model, declared)
    own = [((i[..., ::-1] if colour == "bgr" else i) - np.float32(mean)) / np.float32(std)
           for i in images(channels=3)]
    np.testing.assert_allclose(judged(done.content, images(channels=3)), judged(model, own),
                               atol=1e-4)
    assert done.contract.mean == mean and done.contract.colour == colour
    assert done.contract.preprocess == Preprocess(32, 32, 3, normalise="dtype")


def test_channels_first_is_turned(tmp_path):
    net = Classifier(channels=3, weights=[0.7, 0.2, 0.1], input_shape=(1, 3, 32, 32))
    moved = net.op("ADD", [net.image, net.constant(np.asarray([0.1], np.float32))], (1, 3, 32, 32),
                   s.AddOptionsT())
    last = net.op("TRANSPOSE", [moved, net.constant(np.asarray([0, 2, 3, 1], np.int32))],
                  (1, 32, 32, 3), s.TransposeOptionsT())
    model = net.finish(net.scores(last))
    done = entered(tmp_path, model, Declared(("dark", "bright"), (0.0, 1.0), colour="rgb",
                                             resize="stretch"))
    own = [i.transpose(0, 3, 1, 2) for i in images(channels=3)]
    np.testing.assert_allclose(judged(done.content, images(channels=3)), judged(model, own),
                               atol=1e-6)


def test_a_transpose_to_channels_last_goes_again(tmp_path):
    net = Classifier(channels=3, input_shape=(1, 3, 32, 32))
    last = net.op("TRANSPOSE", [net.image, net.constant(np.asarray([0, 2, 3, 1], np.int32))],
                  (1, 32, 32, 3), s.TransposeOptionsT())
    done = entered(tmp_path, net.finish(net.scores(last)), Declared(
        ("dark", "bright"), (0.0, 1.0), colour="rgb", resize="stretch"))
    assert "TRANSPOSE" not in {o.op for o in parse_graph(done.content).operations}


def test_integer_pixels_tell_their_range(tmp_path):
    net = Classifier(scale=255.0, input_dtype="uint8")
    real = net.op("CAST", [net.image], (1, 32, 32, 1), s.CastOptionsT())
    model = net.finish(net.scores(real))
    done = entered(tmp_path, model, Declared(("dark", "bright"), resize="stretch"))
    assert done.contract.input_range == (0.0, 255.0)
    assert done.contract.origin["input_range"] == "uint8 input"
    pixels = [np.rint(255 * i) for i in images()]
    np.testing.assert_allclose(judged(done.content, [(p / 255).astype(np.float32) for p in pixels]),
                               judged(model, pixels), atol=1e-4)


def test_an_open_batch_is_pinned_and_its_arithmetic_computed_once(tmp_path):
    """As Keras writes Flatten: the batch is read from the shape at each run."""
    net = Classifier(input_signature=(-1, 32, 32, 1))
    logits = net.scores()
    as_int32 = s.ShapeOptionsT()
    as_int32.outType = s.TensorType.INT32
    shape = net.op("SHAPE", [logits], (2,), as_int32, "int32")
    one = [net.constant(np.asarray([v], np.int32)) for v in (0, 1, 1)]
    options = s.StridedSliceOptionsT()
    options.shrinkAxisMask = 1
    batch = net.op("STRIDED_SLICE", [shape, *one], (), options, "int32")
    pack = s.PackOptionsT()
    pack.valuesCount = 2
    target = net.op("PACK", [batch, net.constant(np.asarray(2, np.int32))], (2,), pack, "int32")
    output = net.op("RESHAPE", [logits, target], (1, 2), s.ReshapeOptionsT())
    model = net.finish(output)
    done = entered(tmp_path, model)
    graph = parse_graph(done.content)
    assert not {o.op for o in graph.operations} & {"SHAPE", "STRIDED_SLICE", "PACK"}
    assert not any(t.dynamic for t in graph.tensors)
    np.testing.assert_allclose(judged(done.content, images()), judged(model, images()), atol=1e-6)


def test_open_height_and_width_are_asked_for(tmp_path):
    net = Classifier(input_signature=(-1, -1, -1, 1), input_shape=(1, 1, 1, 1))
    model = net.finish(net.scores())
    with pytest.raises(BadInput, match="--image-size"):
        entered(tmp_path, model)
    done = entered(tmp_path, model, Declared(("dark", "bright"), (0.0, 1.0), resize="stretch",
                                             image_px=(24, 24)))
    assert done.contract.preprocess.height_px == 24
    small = images(px=24)
    np.testing.assert_allclose(judged(done.content, small), judged(model, small), atol=1e-6)


def test_half_weights_are_unpacked(tmp_path):
    model = network(half=True)
    done = entered(tmp_path, model)
    graph = parse_graph(done.content)
    assert "DEQUANTIZE" not in {o.op for o in graph.operations}
    assert {t.dtype for t in graph.tensors} == {"float32", "int32"}
    np.testing.assert_allclose(judged(done.content, images()), judged(model, images()), atol=1e-6)


def test_old_operator_codes_are_written_anew(tmp_path):
    import ai_edge_litert.schema_py_generated as schema

    done = entered(tmp_path, network(legacy=True))
    codes = schema.ModelT.InitFromObj(schema.Model.GetRootAs(done.content)).operatorCodes
    assert {c.builtinCode for c in codes} == {c.deprecatedBuiltinCode for c in codes} != {0}


def test_constants_of_a_maximum_have_the_rank_that_the_quantizer_needs(tmp_path):
    net = Classifier()
    image = net.op("MAXIMUM", [net.image, net.constant(np.float32([0.3]))], (1, 32, 32, 1),
                   s.MaximumMinimumOptionsT())
    model = net.finish(net.scores(image))
    done = entered(tmp_path, model)
    graph = parse_graph(done.content)
    (maximum,) = [o for o in graph.operations if o.op == "MAXIMUM"]
    assert {len(graph.tensors[t].shape) for t in maximum.inputs} == {4}
    np.testing.assert_allclose(judged(done.content, images()), judged(model, images()), atol=1e-6)


def test_buffers_are_aligned_as_the_schema_wants(tmp_path):
    done = entered(tmp_path, network())
    graph = parse_graph(done.content)
    start = np.frombuffer(done.content, np.uint8).ctypes.data
    for tensor in graph.tensors:
        if tensor.buffer:
            values = graph._model.Buffers(tensor.buffer).DataAsNumpy()
            assert (values.ctypes.data - start) % 16 == 0


# ------------------------------------------------------------------ names and choices


@pytest.mark.parametrize("case", ["none", "stale", "foreign"])
def test_any_signature_becomes_ours(tmp_path, case):
    net = Classifier()
    logits = net.scores()
    output = net.op("SOFTMAX", [logits], (1, 2), softmax())
    outputs = {"none": None, "stale": {"probs": logits}, "foreign": {"probs": output}}[case]
    model = net.done([net.image], [output], [] if outputs is None else [
        ("predict", {"x": net.image}, outputs)])
    done = entered(tmp_path, model)
    wanted = judged(model, images())
    np.testing.assert_allclose(probabilities(judged(done.content, images())), wanted, atol=1e-5)
    interpreter = Interpreter(model_content=done.content)
    assert list(interpreter.get_signature_list()) == ["serving_default"]


def _two_outputs():
    net = Classifier()
    logits = net.scores()
    other = net.op("SOFTMAX", [logits], (1, 2), softmax())
    wide = net.op("CONCATENATION", [logits, logits], (1, 4), concatenation(1))
    return net, logits, other, wide


def test_one_of_several_outputs_is_named_or_the_only_one_that_fits(tmp_path):
    net, logits, other, wide = _two_outputs()
    key = "serving_default"
    alike = net.done([net.image], [logits, other], [
        (key, {"x": net.image}, {"a": logits, "b": other})])
    with pytest.raises(BadInput, match="2 outputs") as caught:
        entered(tmp_path, alike)
    assert "--output a" in caught.value.message
    done = entered(tmp_path, alike, Declared(("dark", "bright"), (0.0, 1.0), resize="stretch",
                                             output="b"))
    assert done.contract.output_kind == "probabilities"
    with pytest.raises(BadInput, match="no output is named 'c'"):
        entered(tmp_path, alike, Declared(("dark", "bright"), (0.0, 1.0), resize="stretch",
                                          output="c"))
    fitting = net.done([net.image], [wide, logits], [
        (key, {"x": net.image}, {"features": wide, "scores": logits})])
    assert judged(entered(tmp_path, fitting).content, images()).shape == (12, 2)
    named = net.done([net.image], [other, logits], [
        (key, {"x": net.image}, {"other": other, "logits": logits})])
    np.testing.assert_allclose(judged(entered(tmp_path, named).content, images()),
                               judged(named, images(), output=1), atol=1e-6)


def test_several_signatures_are_asked_about(tmp_path):
    net, logits, other, _ = _two_outputs()
    model = net.done([net.image], [logits, other], [
        ("score", {"x": net.image}, {"y": logits}), ("classify", {"x": net.image}, {"y": other})])
    with pytest.raises(BadInput, match="2 signatures") as caught:
        entered(tmp_path, model)
    assert "--signature" in caught.value.message
    done = entered(tmp_path, model, Declared(("dark", "bright"), (0.0, 1.0), resize="stretch",
                                             signature="classify"))
    assert done.contract.output_kind == "probabilities"
    with pytest.raises(BadInput, match="no signature is named 'clasify'"):
        entered(tmp_path, model, Declared(("dark", "bright"), (0.0, 1.0), signature="clasify"))


def test_a_class_activation_map_follows_the_classes(tmp_path):
    net = Classifier(padding=s.Padding.SAME)
    net.scores()
    kernel = net.constant(net.head[:, None, None, :], "classifier")
    features = net.operators[0].outputs[0]
    cam = net.op("CONV_2D", [features, kernel, net.constant(np.zeros(2, np.float32))],
                 (1, 32, 32, 2), s.Conv2DOptionsT())
    net.operators[-1].builtinOptions.strideH = net.operators[-1].builtinOptions.strideW = 1
    net.operators[-1].builtinOptions.dilationHFactor = 1
    net.operators[-1].builtinOptions.dilationWFactor = 1
    logits = net.op("MEAN", [cam, net.constant(np.asarray([1, 2], np.int32))], (1, 2),
                    s.ReducerOptionsT())
    model = net.done([net.image], [logits, cam], [
        ("serving_default", {"image": net.image}, {"logits": logits, "cam": cam})])
    done = entered(tmp_path, model, order=("bright", "dark"))
    assert set(parse_graph(done.content).output_names) == {"logits", "cam"}
    for output in (0, 1):
        wanted = judged(model, images(), output).reshape(12, -1, 2)[..., ::-1]
        np.testing.assert_allclose(judged(done.content, images(), output).reshape(12, -1, 2),
                                   wanted, atol=1e-5)


def test_packed_files_stay_unless_the_classes_are_put_in_another_order(tmp_path):
    import io
    import zipfile

    model = packed(network(), "dark\nbright\n")
    own = Declared(input_range=(0.0, 1.0), resize="stretch")
    done = entered(tmp_path, model, own)
    assert done.contract.classes == ("dark", "bright")
    assert done.contract.origin["classes"] == "labels.txt packed in the model"
    with zipfile.ZipFile(io.BytesIO(done.content)) as archive:
        assert archive.testzip() is None
        assert archive.read("labels.txt") == b"dark\nbright\n"
    assert judged(done.content, images()).shape == (12, 2)
    turned = entered(tmp_path, model, own, order=("bright", "dark"))
    assert not zipfile.is_zipfile(io.BytesIO(turned.content))


def test_classes_of_a_task_must_be_the_models(tmp_path):
    with pytest.raises(BadInput, match="--model-classes") as caught:
        entered(tmp_path, network(), order=("benign", "malignant"))
    assert "dark, bright" in caught.value.message


def test_a_result_that_answers_otherwise_is_refused(tmp_path, monkeypatch):
    """The check must be able to fail: an edit that mirrors the scores is found."""
    real = n.scores.normalise
    monkeypatch.setattr(n.scores, "normalise",
                        lambda net, head, order, cam: real(net, head, order[::-1], cam))
    with pytest.raises(GateFailed, match="answers otherwise"):
        entered(tmp_path, network())


def test_a_declaration_of_preprocessing_as_a_whole(tmp_path):
    given = Preprocess(32, 32, 1, "bilinear", "max", (0.5,), (0.25,))
    done = entered(tmp_path, network(), Declared(("dark", "bright")), given=given)
    assert done.contract.preprocess == given
    # What it gives is computed outside; the graph takes it as it took it before.
    assert judged(done.content, images()).tolist() == judged(network(), images()).tolist()
    with pytest.raises(BadInput, match="--input-range beside --preprocess"):
        entered(tmp_path, network(), DECLARED.__class__(("a", "b"), (0.0, 1.0)), given=given)
