"""Layouts and the arithmetic of a contract, in numbers that a person can check."""

from __future__ import annotations

import numpy as np
import pytest
from foreign_models import Classifier, s

from bedside.core.errors import BadInput
from bedside.foreign.image_input import channel_map, layout_of, to_model
from bedside.foreign.tree import Net


@pytest.mark.parametrize(("given", "pixel", "expected"), [
    (((0.0, 1.0), (), (), "rgb", 3), [0.1, 0.2, 0.3], [0.1, 0.2, 0.3]),
    (((-1.0, 1.0), (), (), "rgb", 3), [0.0, 0.5, 1.0], [-1, 0, 1]),
    (((0.0, 255.0), (), (), "bgr", 3), [0.2, 0.4, 1.0], [255, 102, 51]),
    # Keras' "caffe": BGR, minus the means of ImageNet in that order.
    (((0.0, 255.0), (103.939, 116.779, 123.68), (), "bgr", 3), [1.0, 0.0, 0.0],
     [-103.939, -116.779, 255 - 123.68]),
    # torchvision.
    (((0.0, 1.0), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "rgb", 3), [0.485, 1.0, 0.0],
     [0, 0.544 / 0.224, -0.406 / 0.225]),
    (((0.0, 1.0), (0.5,), (0.25,), "grey", 1), [1.0], [2.0])])
def test_a_pixel_becomes_what_the_model_takes(given, pixel, expected):
    weights, bias = channel_map(*given)
    image = np.float32(pixel).reshape(1, 1, 1, -1)
    found = to_model(image, weights, bias, image.shape)
    np.testing.assert_allclose(found.reshape(-1), expected, rtol=1e-5, atol=1e-5)


def test_channels_first_is_turned_and_a_plane_flattened():
    image = np.arange(12, dtype=np.float32).reshape(1, 2, 2, 3)
    eye, zero = np.eye(3, dtype=np.float32), np.zeros(3, np.float32)
    # 2 × 2 is no shape that tells; a real one does.
    wide = np.arange(75, dtype=np.float32).reshape(1, 5, 5, 3)
    np.testing.assert_array_equal(to_model(wide, eye, zero, (1, 3, 5, 5)),
                                  wide.transpose(0, 3, 1, 2))
    assert to_model(image, eye, zero, (1, 2, 2, 3)).shape == (1, 2, 2, 3)
    grey = image[..., :1]
    assert to_model(grey, np.ones((1, 1), np.float32), np.zeros(1, np.float32),
                    (1, 2, 2)).shape == (1, 2, 2)


@pytest.mark.parametrize(("shape", "size"), [
    ((1, 32, 24, 3), (32, 24, 3)), ((1, 3, 32, 24), (32, 24, 3)), ((1, 1, 28, 28), (28, 28, 1)),
    ((1, 28, 28), (28, 28, 1))])
def test_layouts(shape, size):
    net = Classifier()
    assert layout_of(Net(net.finish(net.scores()), "net"), shape) == size


def test_an_image_of_a_size_that_cannot_be_is_refused():
    net = Classifier()
    with pytest.raises(BadInput, match="4096 pixels"):
        layout_of(Net(net.finish(net.scores()), "net"), (1, 15794208, 32, 1))


@pytest.mark.parametrize("shape", [(1, 8), (1, 32, 32, 4), (2, 32, 32, 3), (1, 5, 32, 32, 3)])
def test_no_image(shape):
    net = Classifier()
    with pytest.raises(BadInput, match=r"\(1, H, W, C\)"):
        layout_of(Net(net.finish(net.scores()), "net"), shape)


def test_integer_pixels_without_a_cast_are_refused(tmp_path):
    from bedside.core.contract import Declared
    from bedside.foreign import normalise as n
    from bedside.foreign.understand import understand

    net = Classifier(input_dtype="int32")
    moved = net.op("ADD", [net.image, net.constant(np.int32([1]))], (1, 32, 32, 1),
                   s.AddOptionsT(), "int32")
    real = net.op("CAST", [moved], (1, 32, 32, 1), s.CastOptionsT())
    file = tmp_path / "net.tflite"
    file.write_bytes(net.finish(net.scores(real)))
    with pytest.raises(BadInput, match="input's type is int32"):
        n.normalise(understand(file, Declared(("a", "b"), (0.0, 255.0), resize="fit")))
