"""Features and quality measures by their documented formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import skew

from bedside.runtime import features


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 4), st.integers(1, 5), st.integers(1, 5), st.integers(0, 99))
def test_features_by_the_documents_formulas(classes, height, width, seed):
    rng = np.random.default_rng(seed)
    cam = rng.normal(size=(1, height, width, classes)).astype(np.float32)
    logits = cam.mean(axis=(1, 2))
    values = features.of_outputs({"logits": logits, "cam": cam})
    names = features.names(classes, True)
    assert len(names) == len(values) + len(features.IMAGE)
    found = dict(zip(names, values, strict=False))
    covariance = np.cov(cam[0].reshape(-1, classes).T.astype(float), bias=True)
    for k in range(classes):
        plane = cam[0, :, :, k].astype(float)
        assert found[f"logit:{k}"] == pytest.approx(logits[0, k])
        assert found[f"peak:{k}"] == pytest.approx(plane.max() - plane.mean())
        assert found[f"spread:{k}:{k}"] == pytest.approx(np.log(covariance[k, k] + 1e-6))
        steps = [(plane[i, j] - plane[y, x]) ** 2 for i in range(height) for j in range(width)
                 for y, x in ((i + 1, j), (i, j + 1)) if y < height and x < width]
        assert found[f"rough:{k}"] == pytest.approx(np.log(np.mean(steps) + 1e-6) if steps else 0)
        for j in range(k):
            assert found[f"spread:{j}:{k}"] == pytest.approx(covariance[j, k])
    assert features.of_outputs({"logits": logits}) == pytest.approx(logits[0].tolist())


def test_features_that_never_vary_give_finite_distances():
    mean, precision = features.fit(np.ones((10, 3)))
    assert np.isfinite(features.distances(np.full((1, 3), 2.0), mean, precision)).all()


def test_quality_measures():
    flat = np.full((4, 4, 1), 51, np.uint8)
    found, of_image = features.of_image(flat)
    assert of_image == pytest.approx([0.2, np.log(1e-3), np.log(1e-3), 0.0, 0.0, 0.0])
    assert found == {"brightness": pytest.approx(0.2), "contrast": 0.0, "saturated": 0.0,
                     "black": 0.0, "sharpness": 0.0}
    checks = (np.indices((4, 4)).sum(axis=0) % 2 * 65535).astype(np.uint16)[..., None]
    found, _ = features.of_image(checks)
    assert found["brightness"] == found["contrast"] == found["saturated"] == found["black"] == 0.5
    assert found["sharpness"] == pytest.approx(2.0, rel=1e-4)


@pytest.mark.parametrize(("dtype", "channels"), [("uint8", 1), ("uint8", 3), ("uint16", 1)])
def test_quality_measures_by_the_documents_formulas(dtype, channels):
    top = np.iinfo(dtype).max
    pixels = np.random.default_rng(0).integers(0, top + 1, (9, 7, channels)).astype(dtype)
    pixels[0, :3], pixels[1, :2] = 0, top
    grey = pixels.astype(float).mean(axis=2) / top
    steps = np.concatenate([np.abs(np.diff(grey, axis=a)).ravel() for a in (0, 1)])
    quality, of_image = features.of_image(pixels)
    assert quality == pytest.approx({
        "brightness": grey.mean(), "contrast": grey.std(), "saturated": (grey == 1).mean(),
        "black": (grey == 0).mean(), "sharpness": steps.mean() / (grey.std() + 1e-6)})
    across, down, far_across, far_down = (
        np.mean([abs(grey[y + dy, x + dx] - grey[y, x]) for y in range(9 - dy)
                 for x in range(7 - dx)]) for dx, dy in ((1, 0), (0, 1), (4, 0), (0, 4)))
    assert dict(zip(features.IMAGE, of_image, strict=True)) == pytest.approx({
        "brightness": grey.mean(), "contrast": np.log(grey.std() + 1e-3),
        "sharpness": np.log(quality["sharpness"] + 1e-3),
        "skewness": skew(grey, axis=None),
        "direction": np.log((across + 1e-3) / (down + 1e-3)),
        "coarseness": np.log((far_across + far_down + 1e-3) / (across + down + 1e-3))}, rel=1e-4)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 9, 1), (9, 1, 3), (4, 4, 1)])
def test_measures_of_pixels_that_have_few_neighbours_are_finite(shape):
    pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    assert np.isfinite(features.of_image(pixels)[1]).all()


def _by_definition(resized):
    """The measures as docs/bundle.md states them, in floating point."""
    grey = resized.astype(np.float64).mean(axis=2) / np.iinfo(resized.dtype).max
    steps = np.concatenate([np.abs(np.diff(grey, axis=0)).ravel(),
                            np.abs(np.diff(grey, axis=1)).ravel()])
    return {"brightness": grey.mean(), "contrast": grey.std(), "saturated": (grey == 1).mean(),
            "black": (grey == 0).mean(),
            "sharpness": (steps.mean() if steps.size else 0) / (grey.std() + 1e-6)}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(9, 7, 1), (6, 8, 3), (1, 5, 1), (1, 1, 1)])
def test_quality_is_what_its_definition_says(dtype, shape):
    rng = np.random.default_rng(0)
    top = np.iinfo(dtype).max
    for low, high in ((0, top + 1), (0, 3), (top - 2, top + 1)):
        pixels = rng.integers(low, high, shape).astype(dtype)
        assert features.of_image(pixels)[0] == pytest.approx(_by_definition(pixels), rel=1e-9,
                                                           abs=1e-12)
