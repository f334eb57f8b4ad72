"""The file as it came, and the agreement that is asked of its normalised form."""

from __future__ import annotations

import numpy as np
import pytest
from foreign_models import Classifier, s

from bedside.core.contract import Parity
from bedside.core.errors import GateFailed
from bedside.foreign.image_input import channel_map
from bedside.foreign.reference import Reference, agreement, probes, require, softmax

PLAIN = channel_map((0.0, 1.0), (), (), "grey", 1)


def reference(head=None, kind="logits", **foreign):
    net = Classifier(**foreign)
    output = net.scores()
    if head is not None:
        output = head(net, output)
    return Reference(net.finish(output), "net", (1, 32, 32, 1), output, PLAIN, kind)


def test_logits_a_softmax_and_a_sigmoid_are_the_same_probabilities():
    image = probes((32, 32, 1))[2]
    expected = reference().probabilities(image)
    made = [
        reference(lambda net, t: net.op("SOFTMAX", [t], (1, 2), _beta()), "probabilities"),
        reference(lambda net, t: net.op("LOG_SOFTMAX", [t], (1, 2)), "log-probabilities"),
        reference(lambda net, t: net.difference(t)),
        reference(lambda net, t: net.op("LOGISTIC", [net.difference(t)], (1, 1)), "probabilities")]
    for other in made:
        np.testing.assert_allclose(other.probabilities(image), expected, atol=1e-6)
    assert expected.sum() == pytest.approx(1)


def _beta():
    options = s.SoftmaxOptionsT()
    options.beta = 1.0
    return options


def test_a_closed_reference_loads_again():
    file, image = reference(), probes((32, 32, 1))[3]
    before = file.raw(image)
    file.close()
    np.testing.assert_array_equal(file.raw(image), before)


def test_agreement_counts_classes_and_takes_the_largest_difference():
    logits = np.asarray([[0.0, 2.0], [1.0, 0.0], [3.0, 0.0]])
    wanted = np.asarray([softmax(v) for v in logits])
    assert agreement(logits, wanted, "logits") == Parity(3, 0, 0.0)
    turned = agreement(logits[:, ::-1], wanted, "logits")
    assert turned.classes_differ == 3 and turned.largest_difference > 0.4
    # Of two classes that the file holds equal neither is the likeliest.
    even = agreement(np.asarray([[0.0, 1e-9]]), np.asarray([[0.5, 0.5]]), "logits")
    assert even.classes_differ == 0
    sigmoids = 1 / (1 + np.exp(-logits))
    assert agreement(logits, sigmoids, "sigmoids").largest_difference < 1e-12


@pytest.mark.parametrize("parity", [Parity(9, 1, 0.0), Parity(9, 0, 0.01), Parity(9, 0, np.nan)])
def test_what_does_not_agree_is_refused(parity):
    with pytest.raises(GateFailed, match="answers otherwise"):
        require(parity, "net")
    require(Parity(9, 0, 1e-6), "net")


def test_probes_are_grey_levels_of_many_kinds():
    made = probes((20, 30, 3))
    assert {p.shape for p in made} == {(1, 20, 30, 3)}
    assert made[0].max() == 0 and made[1].min() == 1
    for p in made:
        assert p.dtype == np.float32 and p.min() >= 0 and p.max() <= 1
        np.testing.assert_allclose(255 * p, np.rint(255 * p), atol=1e-4)
    assert made[-1].std() > 0.1
