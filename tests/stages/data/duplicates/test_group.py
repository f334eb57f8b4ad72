"""Near-duplicates are joined, other images are not, and sorted orders find what comparing all
finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_fixture import save, scanned, texture
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from bedside.stages.data import scan
from bedside.stages.data.duplicates import near, thresholds
from bedside.stages.data.duplicates.group import Groups, conflicts, group
from bedside.stages.data.duplicates.near import Disjoint


def grouped(root: Path, images: dict[str, np.ndarray],
            patients: dict[str, str] | None = None) -> Groups:
    for name, pixels in images.items():
        save(root / name, pixels)
    files = list(images)
    with scan.Thumbs() as thumbs:
        return group(scanned(root, files, thumbs, patients), thumbs)


def big(seed: int) -> np.ndarray:
    return texture(seed, 200, 240)


def variants(pixels: np.ndarray) -> dict[str, np.ndarray]:
    """The same image as data sets repeat it."""
    image = Image.fromarray(pixels)
    marked = image.copy()
    draw = ImageDraw.Draw(marked)
    draw.line((60, 100, 150, 100), fill=255)
    draw.line((100, 60, 100, 150), fill=255)
    draw.text((5, 180), "RT BREAST", fill=255)
    rows = np.linspace(1.0, 0.5, pixels.shape[0])[:, None]
    rng = np.random.default_rng(1)
    return {
        "copy.png": pixels,
        "copy.bmp": pixels,
        "jpeg.jpg": pixels,
        "smaller.png": np.asarray(image.resize((150, 125), Image.Resampling.BILINEAR)),
        "darker.png": (pixels * 0.6).astype(np.uint8),
        "sixteen.png": pixels.astype(np.uint16) * 200,
        "gain_falls_with_depth.png": np.rint(pixels * rows).astype(np.uint8),
        "calipers.png": np.asarray(marked),
        "noisy.png": np.clip(pixels + rng.normal(0, 12, pixels.shape), 0, 255).astype(np.uint8),
        "trimmed.png": pixels[1:, 2:],
    }


@pytest.mark.parametrize("name", variants(big(0)))
def test_one_picture(tmp_path: Path, name: str) -> None:
    found = grouped(tmp_path, {"original.png": big(0), name: variants(big(0))[name],
                               "other.png": big(1)})
    assert found.duplicates == (0, 0, 2)
    kinds = {"copy.png": "same file", "copy.bmp": "same pixels"}
    assert [k.kind for k in found.links] == [kinds.get(name, "near")]
    assert found.links[0].score >= thresholds.MIN_CORRELATION


def test_unlike_pictures_of_one_layout_stay_apart(tmp_path: Path) -> None:
    # Bright skin above, dark depth below, as all ultrasound has: the detail differs.
    fall = np.linspace(1.0, 0.1, 200)[:, None]
    images = {f"{i}.png": np.rint(big(i) * fall).astype(np.uint8) for i in range(40)}
    found = grouped(tmp_path, images)
    assert found.duplicates == tuple(range(40)) and found.links == ()


def test_flat_pictures_are_one_picture(tmp_path: Path) -> None:
    images = {f"{v}.png": np.full((20, 30), v, np.uint8) for v in (10, 90, 200)}
    assert grouped(tmp_path, {**images, "x.png": big(0)}).duplicates == (0, 0, 0, 3)


def test_patients_are_kept_together_but_are_no_duplicates(tmp_path: Path) -> None:
    images = {f"{i}.png": big(i) for i in range(4)}
    found = grouped(tmp_path, {**images, "4.png": big(2)}, {"0.png": "P", "2.png": "P"})
    assert found.duplicates == (0, 1, 2, 3, 2)
    assert found.together == (0, 1, 0, 3, 0)


def test_conflicts_are_of_pictures() -> None:
    assert conflicts([0, 1, 0, 3, 3], ["a", "a", "b", "b", "b"]) == {0: [0, 2]}


def test_a_patient_with_two_lesions_is_no_conflict(tmp_path: Path) -> None:
    found = grouped(tmp_path, {"a.png": big(0), "b.png": big(1)}, {"a.png": "P", "b.png": "P"})
    assert conflicts(found.duplicates, ["benign", "malignant"]) == {}


# ------------------------------------------------------------------ candidates


def _hashes(n: int, seed: int) -> tuple[near.Codes, set[tuple[int, int]]]:
    """Random hashes, and as many again with up to a fifth of their bits turned."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (n, 256), dtype=np.uint8)
    turned = bits ^ (rng.random((n, 256)) < rng.uniform(0, 0.2, (n, 1))).astype(np.uint8)
    rows = [np.packbits(b).tobytes() for b in np.concatenate([bits, turned])]
    return near.to_codes(rows), {(i, i + n) for i in range(n)}


def _pairs(codes: near.Codes, exhaustive: int) -> set[tuple[int, int]]:
    return {pair for i, j in near.candidates(codes, exhaustive)
            for pair in zip(i.tolist(), j.tolist(), strict=True)}


def test_sorted_orders_find_what_comparing_all_finds() -> None:
    codes, true = _hashes(1500, 0)
    everything, ordered = _pairs(codes, 10_000), _pairs(codes, 0)
    assert everything == true
    assert ordered <= everything and len(ordered) >= 0.999 * len(everything)


def test_crowded_hashes_hang_together_at_bounded_work() -> None:
    rng = np.random.default_rng(0)
    bits = np.zeros((300, 256), np.uint8)
    bits[:, :40] = rng.integers(0, 2, (300, 40))
    codes = near.to_codes([np.packbits(b).tobytes() for b in bits])
    found, sets = _pairs(codes, 0), Disjoint(300)
    for i, j in found:
        sets.union(i, j)
    assert set(sets.roots()) == {0} and len(found) < 300 * 299 / 4


def test_grouping_is_the_same_with_sorted_orders(tmp_path: Path) -> None:
    images = {f"{i}.png": big(i) for i in range(20)}
    images |= {f"{i}b.png": variants(big(i))["darker.png"] for i in range(0, 20, 3)}
    for name, pixels in images.items():
        save(tmp_path / name, pixels)
    files = list(images)
    with scan.Thumbs() as thumbs:
        scans = scanned(tmp_path, files, thumbs)
        ordered, compared = group(scans, thumbs, 0), group(scans, thumbs)
        assert ordered.duplicates == compared.duplicates
        assert set(ordered.links) == set(compared.links)


# ------------------------------------------------------------------ union-find


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=40))
def test_union_find_against_flooding(edges: list[tuple[int, int]]) -> None:
    sets = Disjoint(20)
    for i, j in edges:
        sets.union(i, j)
    label = list(range(20))
    for _ in range(20):
        for i, j in edges:
            label[i] = label[j] = min(label[i], label[j])
    assert sets.roots() == label
