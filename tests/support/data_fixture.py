"""Small data sets on disk for the tests of the data stage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from bedside import readers
from bedside.core import registry
from bedside.core.types import Case
from bedside.readers.base import Listing
from bedside.stages.data import scan


def texture(seed: int, height: int = 40, width: int = 48) -> np.ndarray:
    """An image unlike any of another seed, (height, width) uint8 with a maximum of 255."""
    rng = np.random.default_rng(seed)
    noise = Image.fromarray(rng.integers(0, 256, (height, width), dtype=np.uint8))
    plane = np.asarray(noise.filter(ImageFilter.GaussianBlur(1.2)), dtype=np.float64)
    scaled = (plane - plane.min()) / (plane.max() - plane.min()) * 255
    return np.rint(scaled).astype(np.uint8)


def save(path: Path, pixels: np.ndarray) -> Path:
    """Write an image in the format of its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def folder(root: Path, counts: dict[str, int] | None = None, seed: int = 0) -> Path:
    """A class-per-folder data set of unlike images: ``<class>/<n>.png``."""
    for number, (label, n) in enumerate((counts or {"benign": 8, "malignant": 8}).items()):
        for i in range(n):
            save(root / label / f"{i:03d}.png", texture(seed + 1000 * number + i))
    return root


def npz(path: Path, **arrays: np.ndarray) -> Path:
    """A MedMNIST file of 12 training and 4 validation images, with ``arrays`` put in."""
    stack = np.stack([texture(i, 28, 28) for i in range(16)])
    labels = np.arange(16, dtype=np.uint8) % 2
    content = {"train_images": stack[:12], "train_labels": labels[:12, None],
               "val_images": stack[12:], "val_labels": labels[12:, None], **arrays}
    np.savez_compressed(path, **{k: v for k, v in content.items() if v is not None})
    return path


def scanned(root: Path, files: list[str], thumbs: scan.Thumbs,
            patients: dict[str, str] | None = None) -> list[scan.ScannedImage]:
    """Scan files of a folder without labels."""
    hashes = scan.file_hashes(root, files)
    return scan.scan(root, [Case("", file, "", (patients or {}).get(file), sha256=sha256)
                            for file, sha256 in zip(files, hashes, strict=True)], thumbs)


def read(source: Path, class_names: tuple[str, ...] = ()) -> Listing:
    """List a data set with the reader that fits."""
    return registry.lookup(readers.READERS, readers.detect(source), "reader")(source, class_names)
