"""Synthetic breast ultrasound: a test set of any size with known ground truth.

A case is drawn in two steps. :func:`draw` gives the patient (age and tumour size as in the
paper's Table 1) and the lesion's features of the BI-RADS lexicon (ACR BI-RADS Atlas, 5th
edition, ultrasound): benign lesions are oval, circumscribed, parallel to the skin and enhance
the echo behind them; malignant ones are irregular, spiculated, taller than wide and shadow.
:func:`generate` then images it (``anatomy.py`` gives the echo map, ``speckle.py`` the image).

``difficulty`` d: each case has a grade of suspicion around 0.5 ± 0.5 (1 − d) (plus for
malignant) with a spread that grows with d, and each feature scatters around its case's grade.
At d = 0 no feature overlaps; at d = 1 the features, and the size too, are drawn
independently of the class, so that an image carries nothing of it. Below 1 the size keeps Table 1's
law for its class and shows in the image. Age never shows and keeps its law at any d.
"""

from __future__ import annotations

import csv
import functools
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from bedside.core.errors import BadInput
from bedside.core.study import PhantomConfig
from bedside.runfolder import artefact
from bedside.synthetic.anatomy import Findings, add_lesion, breast, place_lesion
from bedside.synthetic.speckle import Grid, amplitude, complex_envelope, log_compress

STAGE = "phantom"
MANIFEST_CSV = "manifest.csv"
BENIGN, MALIGNANT = "benign", "malignant"

# The shorter side of every image shows this much tissue, so a lesion's pixels follow its size.
FIELD_OF_VIEW_MM = 50.0
MIN_SIDE_PX, MAX_SIDE_PX = 64, 2048

# Raised whenever the same seed gives other images, so that finished folders are made anew.
_VERSION = 1
_TALLEST_MM = 32.0
_LOOKS = 3


@dataclass(frozen=True, slots=True)
class _Law:
    """Mean and standard deviation on a bounded range."""

    mean: float
    sd: float
    low: float
    high: float


# Paper, Table 1. The ranges are ours: positive, and within the field of view.
AGE_YEARS = {BENIGN: _Law(44.9, 8.8, 18, 95), MALIGNANT: _Law(51.2, 10.4, 18, 95)}
SIZE_MM = {BENIGN: _Law(9.70, 5.5, 2, 40), MALIGNANT: _Law(19.1, 9.0, 4, 45)}


@dataclass(frozen=True, slots=True)
class Phantom:
    """One case: ``image`` (H, W) uint8, ``mask`` (H, W) bool, True in the lesion."""

    image: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.bool_]
    label: str
    age: float
    size_mm: float


# ------------------------------------------------------------------ draws


def validate(config: PhantomConfig, seed: int) -> None:
    """Check a configuration.

    Raises:
        BadInput: a value outside its range.
    """
    sides = (config.height_px, config.width_px)
    faults = (
        ("images", config.images, config.images >= 1, "at least 1"),
        ("height_px", sides[0], MIN_SIDE_PX <= sides[0] <= MAX_SIDE_PX,
         f"from {MIN_SIDE_PX} to {MAX_SIDE_PX}"),
        ("width_px", sides[1], MIN_SIDE_PX <= sides[1] <= MAX_SIDE_PX,
         f"from {MIN_SIDE_PX} to {MAX_SIDE_PX}"),
        ("malignant_fraction", config.malignant_fraction,
         0 <= config.malignant_fraction <= 1, "from 0 to 1"),
        ("difficulty", config.difficulty, 0 <= config.difficulty <= 1, "from 0 to 1"),
        ("seed", seed, seed >= 0, "0 or larger"),
    )
    for name, value, fine, allowed in faults:
        if not fine:
            raise BadInput(f"{value} is not allowed", where=f"phantom.{name}",
                           remedy=f"Give a value {allowed}.")


@functools.lru_cache(maxsize=8)
def labels(config: PhantomConfig, seed: int) -> tuple[str, ...]:
    """Return the class of every image, in order: shares exact to one image, order shuffled.

    Raises:
        BadInput: a configuration outside its ranges.
    """
    validate(config, seed)
    malignant = round(config.images * config.malignant_fraction)
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
    ranks = rng.permutation(config.images)
    return tuple(MALIGNANT if r < malignant else BENIGN for r in ranks.tolist())


def _between(rng: np.random.Generator, law: _Law) -> float:
    """Draw from a beta law over the range, with exactly the mean and sd (method of moments)."""
    span = law.high - law.low
    mean = (law.mean - law.low) / span
    weight = mean * (1 - mean) / (law.sd / span) ** 2 - 1
    drawn = law.low + span * rng.beta(mean * weight, (1 - mean) * weight)
    return round(float(drawn), 1)


def _streams(seed: int, index: int) -> tuple[np.random.Generator, np.random.Generator]:
    case, image = np.random.SeedSequence(seed, spawn_key=(0, index)).spawn(2)
    # SFC64 is the fastest of numpy's generators at normal deviates.
    return (np.random.Generator(np.random.SFC64(case)), np.random.Generator(np.random.SFC64(image)))


def draw(config: PhantomConfig, seed: int, index: int) -> Findings:
    """Draw the patient and the lesion's features of one case, without imaging it.

    Args:
        config: how the cases look; ``images`` and ``malignant_fraction`` set the classes.
        seed: the data set's seed.
        index: which image, from 0 to ``images`` − 1.

    Raises:
        BadInput: a configuration outside its ranges.
        IndexError: no such image.
    """
    sequence = labels(config, seed)
    if not 0 <= index < config.images:
        raise IndexError(f"image {index} of {config.images}")
    rng, _ = _streams(seed, index)
    return _findings(rng, sequence[index], config.difficulty)


def _findings(rng: np.random.Generator, label: str, difficulty: float) -> Findings:
    side = 1.0 if label == MALIGNANT else -1.0
    age = _between(rng, AGE_YEARS[label])
    coin = MALIGNANT if rng.random() < 0.5 else BENIGN
    size = _between(rng, SIZE_MM[coin if difficulty >= 1 else label])
    case = 0.5 + 0.5 * (1 - difficulty) * side + (0.05 + 0.55 * difficulty) * rng.normal()
    grades = np.clip(case + (0.05 + 0.35 * difficulty) * rng.normal(size=5), 0, 1).tolist()
    aspect = math.exp(math.log(0.55) + grades[0] * math.log(1.45 / 0.55))
    # A tall cancer of 45 mm would reach from skin to rib; large ones grow sideways.
    if size > _TALLEST_MM:
        aspect = min(aspect, _TALLEST_MM / size)
    return Findings(label, age, size, aspect, irregularity=grades[1], spiculation=grades[2],
                    indistinctness=grades[3], posterior_db=7.0 - 21.0 * grades[4])


# ------------------------------------------------------------------ images


def grid_of(config: PhantomConfig) -> Grid:
    """Return the pixel grid of a configuration: square pixels, 50 mm along the shorter side."""
    return Grid(config.height_px, config.width_px,
                FIELD_OF_VIEW_MM / min(config.height_px, config.width_px))


def generate(config: PhantomConfig, seed: int, index: int) -> Phantom:
    """Draw and image one case. Depends on nothing but its arguments.

    Args:
        config: image size, class shares and difficulty.
        seed: the data set's seed.
        index: which image, from 0 to ``images`` − 1.

    Returns:
        The case; image uint8 and mask bool, both (height_px, width_px).

    Raises:
        BadInput: a configuration outside its ranges.
        IndexError: no such image.
    """
    case = draw(config, seed, index)
    _, rng = _streams(seed, index)
    grid = grid_of(config)
    tissue = breast(rng, grid)
    lesion = place_lesion(rng, case, grid)
    add_lesion(rng, case, lesion, grid, tissue.level_db, tissue.specular, tissue.gain_db)
    loss = amplitude(tissue.gain_db)
    specular = tissue.specular * loss
    # Real interfaces are rough: most of their echo is diffuse.
    scatter = amplitude(tissue.level_db) * loss + np.float32(0.8) * specular
    specular *= np.float32(0.4)
    # Spatial compounding, as breast scanners do: the mean of looks with independent speckle.
    envelope = np.zeros_like(scatter)
    for _ in range(_LOOKS):
        envelope += np.abs(complex_envelope(rng, scatter, grid) + specular)
    mask = np.zeros(scatter.shape, np.bool_)
    mask[lesion.rows, lesion.columns] = lesion.mask
    return Phantom(log_compress(envelope, full_scale=_LOOKS), mask, case.label, case.age,
                   case.size_mm)


# ------------------------------------------------------------------ data set on disk


def dataset_key(config: PhantomConfig, seed: int) -> str:
    """Return the stage key of a written data set."""
    return artefact.stage_key(STAGE, _VERSION, config, seed)


def write_dataset(config: PhantomConfig, seed: int, out: Path,
                  progress: Callable[[int, int], None] | None = None) -> Path:
    """Write a whole data set, or leave a finished one with the same key as it is.

    Images go to ``<class>/<class>-00001.png``, masks (0 and 255) to
    ``masks/<class>-00001_mask.png``, the table to ``manifest.csv`` with the columns
    ``file,label,patient,mask,age,size_mm``; every case is a patient of its own.

    Args:
        config: what to draw.
        seed: the data set's seed.
        out: the folder.
        progress: called with (images done, images in all).

    Returns:
        The path of ``manifest.csv``; its paths are relative to ``out``.

    Raises:
        BadInput: a configuration outside its ranges, or a disk that cannot be written to.
    """
    sequence = labels(config, seed)
    table = out / MANIFEST_CSV
    key = dataset_key(config, seed)
    if artefact.finished(out, STAGE, key):
        if progress is not None:
            progress(config.images, config.images)
        return table
    counts = {BENIGN: 0, MALIGNANT: 0}
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(("file", "label", "patient", "mask", "age", "size_mm"))
    with artefact.writing(out, STAGE, key) as scratch:
        for folder in (*counts, "masks"):
            (scratch / folder).mkdir()
        for index, label in enumerate(sequence):
            case = generate(config, seed, index)
            counts[label] += 1
            name = f"{label}-{counts[label]:05d}"
            file, mask = f"{label}/{name}.png", f"masks/{name}_mask.png"
            Image.fromarray(case.image).save(scratch / file, compress_level=1)
            Image.fromarray(case.mask.astype(np.uint8) * np.uint8(255)).save(
                scratch / mask, compress_level=1)
            writer.writerow((file, label, f"P{index + 1:05d}", mask, case.age, case.size_mm))
            if progress is not None:
                progress(index + 1, config.images)
        (scratch / MANIFEST_CSV).write_text(rows.getvalue(), encoding="utf-8", newline="")
    return table
