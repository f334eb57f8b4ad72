"""Open dimensions: read, pinned, or asked for."""

from __future__ import annotations

import pytest
from foreign_models import Classifier

from bedside.core.errors import BadInput
from bedside.foreign.shapes import fix, is_nchw, open_dimensions, pinned_shape
from bedside.foreign.tree import Net


def tree(shape, signature=None):
    net = Classifier(input_shape=shape, input_signature=signature)
    return Net(net.finish(net.scores()), "net")


@pytest.mark.parametrize(("shape", "signature", "size", "expected"), [
    ((1, 32, 32, 1), None, None, (1, 32, 32, 1)),
    ((1, 32, 32, 1), (-1, 32, 32, 1), None, (1, 32, 32, 1)),
    ((1, 1, 1, 1), (-1, -1, -1, 1), (20, 24), (1, 20, 24, 1)),
    ((1, 3, 1, 1), (-1, 3, -1, -1), (20, 24), (1, 3, 20, 24)),
    ((8, 32, 32, 1), None, None, (1, 32, 32, 1))])
def test_the_shape_for_one_image(shape, signature, size, expected):
    net = tree(shape, signature)
    assert open_dimensions(net) == (signature or shape)
    assert pinned_shape(net, size) == expected


@pytest.mark.parametrize(("shape", "signature", "size", "fault"), [
    ((1, 1, 1, 1), (-1, -1, -1, 1), None, "--image-size"),
    ((1, 32, 32, 1), None, (24, 24), "takes 32×32"),
    ((1, 32, 32, 1), (-1, 32, 32, -1), None, "(1, H, W, C)")])
def test_what_cannot_be_pinned(shape, signature, size, fault):
    with pytest.raises(BadInput) as caught:
        pinned_shape(tree(shape, signature), size)
    assert fault in caught.value.message


def test_a_fixed_model_is_left_as_it_is():
    net = tree((1, 32, 32, 1))
    assert fix(net, (1, 32, 32, 1)) == []


def test_a_shape_that_the_model_cannot_run_is_refused():
    net = tree((1, 32, 32, 1), (-1, 32, 32, 1))
    with pytest.raises(BadInput, match="cannot run"):
        fix(net, (1, 32, 32, 3))


def test_channels_first_by_its_channels():
    assert is_nchw((1, 3, 224, 224)) and is_nchw((1, 1, 28, 28))
    assert not is_nchw((1, 224, 224, 3)) and not is_nchw((1, 3, 3, 3)) and not is_nchw((1, 28, 28))
