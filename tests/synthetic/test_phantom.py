"""The synthetic ultrasound: reproducible, true to its labels, with the physics it claims."""

from __future__ import annotations

import csv
import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage, stats
from scipy.spatial.distance import pdist
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bedside.core.errors import BadInput
from bedside.core.study import PhantomConfig
from bedside.synthetic import phantom, speckle

EASY = PhantomConfig(images=120, difficulty=0.0)
MM_PX = phantom.grid_of(EASY).mm_per_px


def digest(case: phantom.Phantom) -> str:
    return hashlib.sha256(case.image.tobytes() + case.mask.tobytes()).hexdigest()


def aspect(mask: np.ndarray) -> float:
    rows, columns = ndimage.find_objects(mask.astype(int))[0]
    return (rows.stop - rows.start) / (columns.stop - columns.start)


def posterior(case: phantom.Phantom) -> float:
    """Grey levels from 1 to 10 mm behind the lesion, against the same depth beside it."""
    rows, columns = ndimage.find_objects(case.mask.astype(int))[0]
    start = min(rows.stop + round(1 / MM_PX), case.mask.shape[0] - 8)
    band = case.image[start:start + round(9 / MM_PX)].astype(float)
    quarter = (columns.stop - columns.start) // 4
    gap, reach = round(2 / MM_PX), round(10 / MM_PX)
    beside = np.concatenate([band[:, max(0, columns.start - reach):max(1, columns.start - gap)],
                             band[:, columns.stop + gap:columns.stop + reach]], axis=1)
    return float(band[:, columns.start + quarter:columns.stop - quarter].mean() - beside.mean())


def hand_features(case: phantom.Phantom) -> list[float]:
    edge = case.mask & ~ndimage.binary_erosion(case.mask)
    return [np.log(aspect(case.mask)), posterior(case),
            edge.sum() / np.sqrt(case.mask.sum()), np.sqrt(case.mask.sum())]


@pytest.fixture(scope="module")
def easy() -> list[phantom.Phantom]:
    return [phantom.generate(EASY, 3, i) for i in range(EASY.images)]


# ------------------------------------------------------------------ reproducibility


def test_an_image_depends_on_its_index_alone() -> None:
    config = PhantomConfig(images=9)
    forward = [digest(phantom.generate(config, 5, i)) for i in range(6)]
    backward = [digest(phantom.generate(config, 5, i)) for i in reversed(range(6))]
    assert forward == backward[::-1]
    assert len(set(forward)) == 6
    assert digest(phantom.generate(config, 6, 0)) != forward[0]


def test_another_process_makes_the_same_bytes() -> None:
    code = ("import hashlib; from bedside.synthetic import phantom\n"
            "from bedside.core.study import *\n"
            "p = phantom.generate(PhantomConfig(images=9), 5, 4)\n"
            "print(hashlib.sha256(p.image.tobytes() + p.mask.tobytes()).hexdigest())")
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == digest(phantom.generate(PhantomConfig(images=9), 5, 4))


@pytest.mark.parametrize(("fraction", "malignant"), [(0.5, 50), (0.25, 25), (0.0, 0), (1.0, 101)])
def test_class_shares_are_exact(fraction: float, malignant: int) -> None:
    sequence = phantom.labels(PhantomConfig(images=101, malignant_fraction=fraction), 0)
    assert len(sequence) == 101
    assert sequence.count("malignant") == malignant
    assert sequence != tuple(sorted(sequence)) or fraction in (0.0, 1.0)


# ------------------------------------------------------------------ Table 1


@pytest.mark.parametrize("difficulty", [0.0, 0.9])
def test_age_and_size_follow_table_1(difficulty: float) -> None:
    config = PhantomConfig(images=4000, difficulty=difficulty)
    cases = [phantom.draw(config, 1, i) for i in range(config.images)]
    paper = {"benign": ((44.9, 8.8), (9.70, 5.5)), "malignant": ((51.2, 10.4), (19.1, 9.0))}
    for label, laws in paper.items():
        own = [c for c in cases if c.label == label]
        assert len(own) == 2000
        for values, (mean, sd) in zip(([c.age for c in own], [c.size_mm for c in own]), laws,
                                      strict=True):
            # Four standard errors of a mean, and about as many of a standard deviation.
            assert np.mean(values) == pytest.approx(mean, abs=4 * sd / np.sqrt(2000))
            assert np.std(values) == pytest.approx(sd, rel=0.07)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**63), index=st.integers(0, 99), difficulty=st.floats(0, 1),
       side=st.sampled_from([64, 150, 224, 257]))
def test_a_lesion_is_as_large_as_its_record_says(seed: int, index: int, difficulty: float,
                                                 side: int) -> None:
    config = PhantomConfig(images=100, height_px=side, width_px=side + 31, difficulty=difficulty)
    case = phantom.generate(config, seed, index)
    assert 2 <= case.size_mm <= 45
    assert 18 <= case.age <= 95
    assert case.image.shape == case.mask.shape == (side, side + 31)
    assert case.image.dtype == np.uint8
    assert case.mask.dtype == np.bool_
    edge = case.mask & ~ndimage.binary_erosion(case.mask)
    points = np.argwhere(edge)
    diameter_px = (pdist(points).max() if len(points) > 1 else 0.0) + 1
    expected = case.size_mm / phantom.grid_of(config).mm_per_px
    # Tips of spicules thinner than a pixel may fall between pixels.
    assert 0.85 * expected - 2 <= diameter_px <= expected + 2


# ------------------------------------------------------------------ lexicon


def test_lesions_are_darker_than_the_tissue_around(easy: list[phantom.Phantom]) -> None:
    darker = 0
    for case in easy:
        ring = (ndimage.binary_dilation(case.mask, iterations=10)
                & ~ndimage.binary_dilation(case.mask, iterations=4))
        darker += case.image[case.mask].mean() < case.image[ring].mean() - 5
    assert darker >= 0.9 * len(easy)


def test_classes_differ_as_the_lexicon_says(easy: list[phantom.Phantom]) -> None:
    groups = {label: [c for c in easy if c.label == label] for label in ("benign", "malignant")}
    small = [c for c in groups["malignant"] if 5 <= c.size_mm <= 32]
    assert max(aspect(c.mask) for c in groups["benign"] if c.size_mm >= 5) < 1
    assert min(aspect(c.mask) for c in small) > 1
    assert np.mean([posterior(c) for c in groups["benign"]]) > 10
    assert np.mean([posterior(c) for c in groups["malignant"]]) < -20


def separation(difficulty: float, images: int) -> float:
    config = PhantomConfig(images=images, difficulty=difficulty)
    cases = [phantom.generate(config, 11, i) for i in range(config.images)]
    truth = np.array([c.label == "malignant" for c in cases])
    model = make_pipeline(StandardScaler(), LogisticRegression())
    scores = cross_val_predict(model, np.array([hand_features(c) for c in cases]), truth, cv=5,
                               method="decision_function")
    return float(roc_auc_score(truth, scores))


def test_difficulty_separates_and_hides_the_classes() -> None:
    assert separation(0.3, 140) > 0.9
    # The null standard error at 150 against 150 is 0.033.
    assert abs(separation(1.0, 300) - 0.5) < 0.1


def test_at_difficulty_1_findings_do_not_know_the_class() -> None:
    config = PhantomConfig(images=3000, difficulty=1.0)
    cases = [phantom.draw(config, 2, i) for i in range(config.images)]
    for name in ("size_mm", "aspect", "irregularity", "spiculation", "indistinctness",
                 "posterior_db"):
        by_class = [[getattr(c, name) for c in cases if c.label == label]
                    for label in ("benign", "malignant")]
        assert stats.ks_2samp(*by_class).pvalue > 0.001, name


# ------------------------------------------------------------------ physics


def test_homogeneous_tissue_gives_rayleigh_speckle() -> None:
    grid = speckle.Grid(224, 224, MM_PX)
    rng = np.random.default_rng(0)
    flat = np.ones((224, 224), np.float32)
    envelopes = np.stack([np.abs(speckle.complex_envelope(rng, flat, grid)) for _ in range(12)])
    assert envelopes.mean() / envelopes.std() == pytest.approx(
        stats.rayleigh.mean() / stats.rayleigh.std(), rel=0.02)
    assert np.mean(envelopes**2) == pytest.approx(1, rel=0.03)
    # Samples far enough apart to be independent.
    apart = envelopes[:, ::8, ::24].ravel()
    assert stats.kstest(apart, stats.rayleigh(scale=np.sqrt(0.5)).cdf).pvalue > 0.001


def test_speckle_grows_with_depth() -> None:
    grid = speckle.Grid(224, 224, MM_PX)
    rng = np.random.default_rng(0)
    flat = np.ones((224, 224), np.float32)
    echo = np.stack([speckle.complex_envelope(rng, flat, grid) for _ in range(12)])

    def neighbours(rows: slice) -> float:
        part = echo[:, rows]
        return float(np.mean(part[..., 3:] * part[..., :-3].conj()).real)

    assert neighbours(slice(180, 224)) > 2 * neighbours(slice(0, 44)) > 0


def test_log_compression_spans_60_db() -> None:
    envelope = np.array([[1.0, 10.0, 10 ** -1.5, 1e-3, 0.0]], np.float32)
    assert speckle.log_compress(envelope).tolist() == [[255, 255, 128, 0, 0]]


def test_smooth_fields_have_unit_variance() -> None:
    rng = np.random.default_rng(0)
    grid = speckle.Grid(224, 224, MM_PX)
    fields = np.stack([speckle.smooth_field(rng, grid, (1.5, 4.0)) for _ in range(30)])
    assert fields.std() == pytest.approx(1, rel=0.05)
    assert abs(fields.mean()) < 0.03


# ------------------------------------------------------------------ on disk, bad input


def test_a_data_set_is_written_once(tmp_path: Path) -> None:
    config = PhantomConfig(images=5, height_px=64, width_px=80)
    seen: list[tuple[int, int]] = []
    out = tmp_path / "set"
    table = phantom.write_dataset(config, 4, out, lambda done, total: seen.append((done, total)))
    assert seen == [(i, 5) for i in range(1, 6)]
    with table.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert list(rows[0]) == ["file", "label", "patient", "mask", "age", "size_mm"]
    assert sorted(r["file"] for r in rows)[0] == "benign/benign-00001.png"
    assert len({r["patient"] for r in rows}) == 5
    for index, row in enumerate(rows):
        case = phantom.generate(config, 4, index)
        assert np.array_equal(np.asarray(Image.open(out / row["file"])), case.image)
        assert np.array_equal(np.asarray(Image.open(out / row["mask"])) > 0, case.mask)
        assert (row["label"], float(row["age"]), float(row["size_mm"])) == (
            case.label, case.age, case.size_mm)
    before = table.stat().st_mtime_ns
    assert phantom.write_dataset(config, 4, out) == table
    assert table.stat().st_mtime_ns == before
    phantom.write_dataset(replace(config, images=3), 4, out)
    assert len(list(out.glob("masks/*.png"))) == 3


def test_an_interrupted_write_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        phantom.write_dataset(PhantomConfig(images=3, height_px=64, width_px=64), 0,
                              tmp_path / "set", stop)
    assert list((tmp_path / "set").rglob("*.*")) == []


@pytest.mark.parametrize(("change", "where"), [
    ({"images": 0}, "phantom.images"), ({"height_px": 8}, "phantom.height_px"),
    ({"width_px": 5000}, "phantom.width_px"), ({"difficulty": 1.5}, "phantom.difficulty"),
    ({"difficulty": float("nan")}, "phantom.difficulty"),
    ({"malignant_fraction": -0.1}, "phantom.malignant_fraction")])
def test_bad_configurations_name_the_key(change: dict[str, float], where: str) -> None:
    with pytest.raises(BadInput) as caught:
        phantom.generate(replace(EASY, **change), 0, 0)
    assert caught.value.where == where


def test_an_index_outside_is_refused() -> None:
    with pytest.raises(IndexError):
        phantom.draw(EASY, 0, EASY.images)
    with pytest.raises(BadInput):
        phantom.labels(EASY, -1)
