"""The editable file: packed again it is the same model, small and in order."""

from __future__ import annotations

import numpy as np
import pytest
from foreign_models import Classifier, network, s, softmax

from bedside.core.errors import BadInput
from bedside.foreign.tree import Net
from bedside.runtime.graph import parse_graph


def test_a_model_packed_again_is_the_same_model():
    before = parse_graph(network())
    after = parse_graph(Net(network(), "net").pack())
    assert [o.op for o in after.operations] == [o.op for o in before.operations]
    assert after.input_names == before.input_names
    for operation, own in zip(after.operations, before.operations, strict=True):
        for a, b in zip(operation.inputs, own.inputs, strict=True):
            assert after.tensors[a].name == before.tensors[b].name
            if before.constant(b) is not None:
                np.testing.assert_array_equal(after.constant(a), before.constant(b))


def test_what_no_output_needs_goes():
    net = Classifier()
    logits = net.scores()
    ends = net.op("SOFTMAX", [logits], (1, 2), softmax())
    data = net.done([net.image], [logits, ends], [])
    tree = Net(data, "net")
    tree.graph.outputs = tree.graph.outputs[:1]
    after = parse_graph(tree.pack())
    assert "SOFTMAX" not in {o.op for o in after.operations}
    assert len(after.tensors) == len(parse_graph(data).tensors) - 1


def test_a_constant_of_its_own_leaves_the_shared_one():
    net = Classifier()
    data = net.finish(net.scores())
    tree = Net(data, "net")
    kernel = tree.operations[0].inputs[1]
    before = tree.constant(kernel).copy()
    copy = tree.add_tensor("copy", before.shape)
    tree.graph.tensors[copy].buffer = tree.graph.tensors[kernel].buffer
    tree.set_constant(kernel, before * 2)
    np.testing.assert_array_equal(tree.constant(copy), before)
    np.testing.assert_array_equal(tree.constant(kernel), before * 2)


def test_an_operation_in_front_is_run_first():
    tree = Net(network(), "net")
    image = tree.graph.inputs[0]
    new = tree.add_tensor("new", tree.shape(image))
    tree.add_operation("ADD", [new, tree.add_constant("two", np.float32([2.0]))], [image],
                       s.AddOptionsT(), first=True)
    tree.graph.inputs = [new]
    tree.keep_selected()
    tree.sign("serving_default", {"image": new}, {"logits": tree.graph.outputs[0]})
    after = parse_graph(tree.pack())
    assert after.operations[0].op == "ADD" and after.input_names["image"] == after.inputs[0]


def _damaged(change):
    import ai_edge_litert.schema_py_generated as schema
    import flatbuffers

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(network()))
    change(model, model.subgraphs[0])
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize(("change", "fault"), [
    (lambda m, g: setattr(g.tensors[1], "shape", [4, 3, 3, 99]), "bytes"),
    (lambda m, g: setattr(g.tensors[0], "shape", [1, 2**30, 32, 1]), "shape"),
    (lambda m, g: setattr(g.operators[0], "inputs", [0, 77, 2]), "not there"),
    (lambda m, g: setattr(g.operators[0], "outputs", [-3]), "not there"),
    (lambda m, g: setattr(g, "outputs", [99]), "not there"),
    (lambda m, g: setattr(g.operators[0], "opcodeIndex", 9), ""),
    (lambda m, g: setattr(g.tensors[1], "buffer", 99), "")])
def test_numbers_that_lead_nowhere_are_damage(change, fault):
    with pytest.raises(BadInput) as caught:
        Net(_damaged(change), "net.tflite")
    assert "net.tflite" in caught.value.message and fault in caught.value.message


def test_bytes_that_are_no_model_are_refused():
    with pytest.raises(BadInput, match="net: not a LiteRT model"):
        Net(b"no", "net")
