"""Files that are no float classifier: refused at once, each with what can be done."""

from __future__ import annotations

import numpy as np
import pytest
from foreign_models import Classifier, Graph, integers, network, s

from bedside.core.contract import Declared
from bedside.core.errors import BadInput
from bedside.foreign import accept
from bedside.foreign import normalise as n
from bedside.foreign.tree import Net
from bedside.foreign.understand import understand

DECLARED = Declared(("dark", "bright"), (0.0, 1.0), resize="stretch")


def _custom(name):
    net = Classifier()
    return net.finish(net.op("CUSTOM", [net.scores()], (1, 2), custom=name))


def _while():
    net = Classifier()
    options = s.WhileOptionsT()
    options.condSubgraphIndex = options.bodySubgraphIndex = 0
    return net.finish(net.op("WHILE", [net.scores()], (1, 2), options))


def _if():
    net = Classifier()
    return net.finish(net.op("IF", [net.scores()], (1, 2), s.IfOptionsT()))


def _variable():
    net = Classifier()
    handle = net.op("VAR_HANDLE", [], (), s.VarHandleOptionsT(), "int32")
    value = net.op("READ_VARIABLE", [handle], (1, 2), s.ReadVariableOptionsT())
    return net.finish(net.op("ADD", [net.scores(), value], (1, 2), s.AddOptionsT()))


def _two_inputs():
    net = Classifier()
    other = net.tensor((1, 2), name="age")
    output = net.op("ADD", [net.scores(), other], (1, 2), s.AddOptionsT())
    return net.done([net.image, other], [output], [])


def _decision():
    net = Classifier()
    options = s.ArgMaxOptionsT()
    options.outputType = s.TensorType.INT32
    output = net.op("ARG_MAX", [net.scores(), net.constant(np.asarray([1], np.int32))], (1,),
                    options, "int32")
    return net.finish(output)


def _map():
    net = Classifier()
    net.scores()
    return net.finish(net.operators[0].outputs[0])


def _flat():
    graph = Graph()
    image = graph.tensor((1, 64))
    output = graph.op("FULLY_CONNECTED", [image, graph.constant(np.ones((2, 64), np.float32)), -1],
                      (1, 2), s.FullyConnectedOptionsT())
    return graph.done([image], [output], [])


# Name: the file, the fault, the remedy.
BAD = {
    "custom operation": (lambda: _custom("MyOp"), "custom operations (MyOp)", "built-in"),
    "flex operation": (lambda: _custom("FlexErf"), "FlexErf", "SELECT_TF_OPS"),
    "while": (_while, "control flow (WHILE)", "one graph from image to scores"),
    "if": (_if, "control flow (IF)", "one graph from image to scores"),
    "variables": (_variable, "READ_VARIABLE", "one graph from image to scores"),
    "integers": (lambda: integers(True), "not a floating-point model", "before quantization"),
    "integers without scale": (lambda: integers(False), "without scale and zero point",
                               "before quantization"),
    "two inputs": (_two_inputs, "2 inputs", "single image input"),
    "a decision": (_decision, "holds int32", "before the decision"),
    "a map": (_map, "one row of class scores", "one score a class"),
    "a flat input": (_flat, "(1, H, W, C)", "single image input"),
    "truncated": (lambda: network()[:-200], "", "complete LiteRT"),
    "a header": (lambda: network()[:12], "", "complete LiteRT"),
    "text": (lambda: b"not a model at all" * 9, "no TFL3 identifier", "complete LiteRT"),
    "empty": (lambda: b"", "no TFL3 identifier", "complete LiteRT"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_enter_is_named(tmp_path, name):
    make, fault, remedy = BAD[name]
    file = tmp_path / "net.tflite"
    file.write_bytes(make())
    with pytest.raises(BadInput) as caught:
        n.normalise(understand(file, DECLARED))
    assert caught.value.exit_code == 2
    assert "net.tflite" in caught.value.message
    assert fault in caught.value.message and remedy in caught.value.message


def test_every_cut_of_a_file_is_refused_or_whole(tmp_path):
    """No length leads to a traceback, and none but the whole file enters."""
    whole = network()
    file = tmp_path / "net.tflite"
    for length in range(0, len(whole), 37):
        file.write_bytes(whole[:length])
        with pytest.raises(BadInput):
            n.normalise(understand(file, DECLARED))


def test_what_is_no_problem_has_none():
    net = Net(network(), "net")
    assert accept.problems(net) == []
    assert accept.signatures(net) == ["serving_default"]
    ends = accept.choose(net)
    assert ends.inputs == {"args_0": 0} and list(ends.outputs) == ["output_0"]
