"""Unlike the training data? On a network that has learned its task, with images of many kinds."""

from __future__ import annotations

import numpy as np
import pytest
from tiny import write_tiny_data, write_trained

from bedside import schemes
from bedside.core.study import ModelConfig
from bedside.runfolder import layout, stored
from bedside.runtime.bundle.manifest import OperatingPoint
from bedside.runtime.decide import decide
from bedside.runtime.engine import Engine, Load
from bedside.runtime.variant import read_variant
from bedside.stages import quantize
from bedside.stages.bundle import ood_detector
from bedside.stages.convert import convert

PX, IMAGES = 32, 600
# Of 150 new images like the training data at most 12 (8%) may be warned about, and of each other
# kind at least 19 of 20 must be.
FALSE_WARNINGS, DETECTED = 12, 19


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """A function from resized pixels to the answer of a trained, converted network."""
    run = tmp_path_factory.mktemp("familiar") / "run"
    write_tiny_data(run, PX, IMAGES)
    model, accuracy = write_trained(run, ModelConfig("resnet34", image_px=PX, width=0.125), 4)
    assert accuracy >= 0.95, "the network has learned its task"
    assert convert(run, model)
    quantize.quantize(run, model, schemes.parse("float32"), None, None)
    variant, data = read_variant(layout.variant_dir(run, f"{model}-float32"))
    classes = len(variant.task.classes)
    with Engine() as engine:
        cam = engine.open(Load((("model.tflite", data),), variant.preprocess, classes))
        known = ood_detector.learn(run, engine, variant.preprocess, classes, cam, 300)
        assert known is not None
        assert known.false_alarms <= known.validation_images * 0.02
        point = OperatingPoint(0.5)

        def answer(pixels):
            raw = engine.resized(np.ascontiguousarray(pixels).tobytes(), "x")
            return decide("x", raw.logits, raw.features, raw.quality, variant.task, point, known)

        with stored.pixel_store(run, variant.preprocess) as store:
            like = [store.pixels(c.id) for c in stored.cases(run) if c.split == "test"]
            yield answer, like


def test_new_images_like_the_training_data_are_rarely_warned_about(answers):
    answer, like = answers
    assert len(like) == IMAGES // 4
    assert sum(bool(answer(p).warnings) for p in like) <= FALSE_WARNINGS


def _stripes(rng, like):
    return (np.indices((PX, PX))[1] // rng.integers(1, 5) % 2 * 255).astype(np.uint8)[..., None]


KINDS = {
    "uniform noise": lambda rng, like: rng.integers(0, 256, (PX, PX, 1), np.uint8),
    "flat": lambda rng, like: np.full((PX, PX, 1), rng.integers(1, 256), np.uint8),
    "stripes": _stripes,
    "far brighter": lambda rng, like: np.clip(like.astype(int) + 120, 0, 255).astype(np.uint8),
    "blurred": lambda rng, like: np.full_like(like, like.mean()) + np.indices(
        like.shape)[0].astype(np.uint8) // 4,
    "of half the contrast": lambda rng, like: (like // 2 + 60).astype(np.uint8),
    "black and white": lambda rng, like: ((like > 120) * 255).astype(np.uint8),
}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_images_of_another_kind_are_warned_about(answers, kind):
    answer, like = answers
    rng = np.random.default_rng(3)
    made = [KINDS[kind](rng, like[i]) for i in range(20)]
    assert sum(bool(answer(p).warnings) for p in made) >= DETECTED
