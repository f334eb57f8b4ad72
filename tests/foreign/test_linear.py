"""Channel maps: folded where that is exact, added where it is not, the same numbers either way."""

from __future__ import annotations

import numpy as np
import pytest
from foreign_models import Classifier, Graph, s

from bedside.foreign.linear import add_input, fold_input, row, select_rows
from bedside.foreign.tree import Net
from bedside.runtime.litert import RawModel

WEIGHTS = np.asarray([[0, 0, 2], [0, 3, 0], [4, 0, 0]], np.float32)
BIAS = np.asarray([0.5, -0.5, 0.25], np.float32)


def run(tree, image):
    model = RawModel(tree.content(), "net", tree.shape(tree.graph.inputs[0]))
    model.feed(image)
    return model.tensor(tree.graph.outputs[0])


def image(px=12):
    return np.random.default_rng(1).random((1, px, px, 3), np.float32)


@pytest.mark.parametrize("folded", [True, False])
def test_an_input_map_gives_the_same_folded_or_added(folded):
    net = Classifier(px=12, channels=3, weights=[0.5, 0.2, 0.3])
    data = net.finish(net.scores())
    tree = Net(data, "net")
    tree.keep_selected()
    if folded:
        assert fold_input(tree, tree.graph.inputs[0], WEIGHTS, BIAS)
    else:
        tree.graph.inputs = [add_input(tree, tree.graph.inputs[0], WEIGHTS, BIAS)]
    plain = Net(data, "net")
    plain.keep_selected()
    expected = run(plain, (image() @ WEIGHTS.T + BIAS).astype(np.float32))
    np.testing.assert_allclose(run(tree, image()), expected, rtol=1e-5)


def test_a_shift_is_not_folded_where_zeros_are_padded():
    net = Classifier(px=12, channels=3, padding=s.Padding.SAME)
    tree = Net(net.finish(net.scores()), "net")
    assert not fold_input(tree, tree.graph.inputs[0], WEIGHTS, BIAS)
    assert fold_input(tree, tree.graph.inputs[0], WEIGHTS, np.zeros(3, np.float32))


@pytest.mark.parametrize("rows", [[1, 0], [None, 1], [0, 1, None, 1]])
@pytest.mark.parametrize("through", ["layer", "reshape", "add"])
def test_scores_are_chosen_exactly(rows, through):
    net = Classifier(px=12)
    logits = net.scores()
    if through == "reshape":
        logits = net.op("RESHAPE", [logits, net.constant(np.asarray([1, 1, 1, 2], np.int32))],
                        (1, 1, 1, 2), s.ReshapeOptionsT())
    elif through == "add":
        logits = net.op("ADD", [logits, net.constant(np.float32([0.25]))], (1, 2), s.AddOptionsT())
    data = net.finish(logits)
    plain, tree = Net(data, "net"), Net(data, "net")
    plain.keep_selected(), tree.keep_selected()
    before = len(tree.operations)
    scores, cam = select_rows(tree, tree.graph.outputs[0], rows)
    tree.graph.outputs = [row(tree, scores)]
    assert cam is None
    values = run(plain, image()[..., :1]).reshape(-1)
    expected = [0.0 if r is None else values[r] for r in rows]
    np.testing.assert_array_equal(run(tree, image()[..., :1]), [np.float32(expected)])
    if through == "layer":
        assert len(tree.operations) == before  # no operation more


def test_a_layer_that_others_read_is_left_alone():
    graph = Graph()
    image_ = graph.tensor((1, 4))
    layer = graph.op("FULLY_CONNECTED", [image_, graph.constant(np.float32(np.eye(2, 4))), -1],
                     (1, 2), s.FullyConnectedOptionsT())
    moved = graph.op("RESHAPE", [layer, graph.constant(np.asarray([1, 2], np.int32))], (1, 2),
                     s.ReshapeOptionsT())
    data = graph.done([image_], [moved, layer], [])
    tree = Net(data, "net")
    tree.keep_selected()
    scores, _ = select_rows(tree, tree.graph.outputs[0], [1, 0])
    tree.graph.outputs[0] = scores
    model = RawModel(tree.content(), "net", (1, 4))
    model.feed(np.float32([[1, 2, 3, 4]]))
    assert model.tensor(tree.graph.outputs[0]).tolist() == [[2, 1]]
    assert model.tensor(tree.graph.outputs[1]).tolist() == [[1, 2]]
