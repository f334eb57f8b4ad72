"""Kinds of outputs by their values, and the width of an output."""

from __future__ import annotations

import numpy as np
import pytest
from foreign_models import Classifier, s

from bedside.core.errors import BadInput
from bedside.foreign import scores
from bedside.foreign.tree import Net

RNG = np.random.default_rng(5)
LOGITS = RNG.normal(0, 3, (20, 3))
SOFTMAX = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)


def net(shape=(1, 2)):
    made = Classifier()
    output = made.scores()
    if shape != (1, 2):
        output = made.op("RESHAPE", [output, made.constant(np.asarray(shape, np.int32))], shape,
                         s.ReshapeOptionsT())
    return Net(made.finish(output), "net")


@pytest.mark.parametrize(("values", "kind"), [
    (LOGITS, "logits"), (SOFTMAX, "probabilities"), (np.log(SOFTMAX), "log-probabilities"),
    # float16 in between, as some delegates compute.
    (SOFTMAX.astype(np.float16).astype(np.float64), "probabilities"),
    (1 / (1 + np.exp(-LOGITS)), None),  # one sigmoid a class, or ReLU6 …: asked about
    (LOGITS[:, :1], "logits"), (SOFTMAX[:, :1], None),
    (np.asarray([[0.0, 1.0], [1.0, 0.0]]), "probabilities"), (-SOFTMAX, "logits")])
def test_kinds_are_told_by_values(values, kind):
    assert scores.kind_of(values) == kind


@pytest.mark.parametrize("shape", [(1, 2), (2,), (1, 1, 1, 2), (2, 1)])
def test_one_row_of_scores(shape):
    tree = net(shape)
    assert scores.width_of(tree, tree.graph.outputs[0]) == 2


def test_a_declared_kind_wins_unless_the_values_contradict_it():
    tree = net()
    output = tree.graph.outputs[0]
    assert scores.by_value(tree, output, SOFTMAX[:, :2], "logits").kind == "logits"
    with pytest.raises(BadInput, match="declared probabilities run from"):
        scores.by_value(tree, output, LOGITS[:, :2], "probabilities")
    with pytest.raises(BadInput, match="between 0 and 1"):
        scores.by_value(tree, output, 1 / (1 + np.exp(-LOGITS[:, :2])), None)


def test_sigmoids_that_cannot_be_cut_are_refused():
    tree = net()
    head = scores.by_value(tree, tree.graph.outputs[0], 1 / (1 + np.exp(-LOGITS[:, :2])),
                           "sigmoids")
    with pytest.raises(BadInput, match="no operation to cut"):
        scores.normalise(tree, head, (0, 1), None)


def test_a_neutral_operation_is_looked_through_and_another_is_not():
    for factor, found in ((1.0, True), (2.0, False)):
        made = Classifier()
        p = made.op("SOFTMAX", [made.scores()], (1, 2), s.SoftmaxOptionsT())
        made.operators[-1].builtinOptions.beta = 1.0
        output = made.op("MUL", [p, made.constant(np.float32([factor]))], (1, 2), s.MulOptionsT())
        tree = Net(made.finish(output), "net")
        assert (scores.find(tree, tree.graph.outputs[0]) is not None) == found
