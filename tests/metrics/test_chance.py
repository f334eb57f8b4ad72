"""Chance levels of maps that ignore the image, against brute force."""

from __future__ import annotations

import numpy as np
import pytest

from bedside.metrics import chance


@pytest.fixture
def lesions() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:17, :14]
    found = []
    for _ in range(25):
        y, x = rng.normal((9, 5), 2)
        found.append((rows - y) ** 2 + (columns - x) ** 2 <= rng.uniform(1.5, 5) ** 2)
    return found


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


def test_the_area_is_how_often_a_random_point_hits(lesions) -> None:
    rng = np.random.default_rng(1)
    points = rng.integers(0, lesions[0].size, 200_000)
    for lesion in lesions[:3]:
        assert chance.area(lesion) == pytest.approx(lesion.ravel()[points].mean(), abs=0.005)


def test_the_centre_of_odd_and_even_images() -> None:
    plane = np.zeros((3, 4), bool)
    plane[1, 2] = True
    assert chance.centre(plane) and not chance.centre(~plane)


def test_the_best_pixel_lies_in_most_lesions_and_within_its_plateau(lesions) -> None:
    known = chance.usual(lesions)
    hits = [sum(bool(m[y, x]) for m in lesions) for y in range(17) for x in range(14)]
    assert sum(bool(m[known.pixel]) for m in lesions) == max(hits)
    plateau = np.zeros((5, 5), np.int64)
    plateau[1:4, 1:4] = 2
    assert chance.best_pixel(plateau) == (2, 2)


def test_the_best_region_is_the_best_of_every_level(lesions) -> None:
    known = chance.usual(lesions)
    counts = np.sum(lesions, axis=0)
    every = {t: np.mean([iou(counts >= t, m) for m in lesions])
             for t in range(1, counts.max() + 1)}
    best = np.mean([iou(known.region, m) for m in lesions])
    assert best == pytest.approx(max(every.values()))
    # No pixel added or removed improves it by much: the level sets lose little.
    for flip in range(known.region.size):
        other = known.region.copy()
        other.ravel()[flip] ^= True
        assert np.mean([iou(other, m) for m in lesions]) < best + 0.01


def test_the_disc_has_the_mean_lesions_area(lesions) -> None:
    known = chance.usual(lesions)
    wanted = np.mean([m.sum() for m in lesions])
    assert abs(known.disc.sum() - wanted) < 5
    assert np.array_equal(known.disc, known.disc[::-1, ::-1])
    large = chance.centred_disc((200, 300), 0.2)
    assert large.mean() == pytest.approx(0.2, abs=0.002)
    # The region of a centred Gaussian above half of its range is such a disc.
    rows, columns = np.mgrid[:200, :300]
    blob = np.exp(-((rows - 99.5) ** 2 + (columns - 149.5) ** 2) / 5000)
    same = chance.centred_disc((200, 300), float((blob > blob[0, 0] + (blob.max() - blob[0, 0]) / 2)
                                                 .mean()))
    assert iou(same, blob > blob[0, 0] + (blob.max() - blob[0, 0]) / 2) > 0.98


def test_nothing_is_usual_without_outlines_and_an_empty_region_has_no_share() -> None:
    assert chance.usual([]) is None
    empty = np.zeros((4, 4), bool)
    assert chance.inside(empty, ~empty) is None
    half = empty.copy()
    half[:2] = True
    assert chance.inside(~empty, half) == 0.5
