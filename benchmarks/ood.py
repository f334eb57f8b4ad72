"""Images of another kind against images like the training data, on the trained network's bundle.

    python benchmarks/ood.py [--save ood]

False warnings: the test images of BUSI, which neither trained nor set a limit. Detection: other
kinds of image. ``unlike``: the distance of the model's outputs and the pixels' statistics
(docs/bundle.md). ``warned``: that, or a measure of quality outside the range of the training
images; it is what a user sees. The statistics were chosen on validation images and on plots,
icons, checkerboards, 1/f noise, blurred, turned and brightened images, none of which is here.
"""

from __future__ import annotations

import importlib.util
import io
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
from common import finish, need_busi
from PIL import Image
from trained_bundle import bundle, trained_run

from bedside.core.errors import BedsideError
from bedside.core.study import PhantomConfig
from bedside.metrics import stats
from bedside.readers import dicom_file
from bedside.runfolder import stored
from bedside.runtime.bundle.reader import open_bundle
from bedside.runtime.device import Device
from bedside.synthetic import phantom

COUNT = 100


def _png(plane: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(plane).save(buffer, "PNG")
    return buffer.getvalue()


def photographs() -> Iterator[bytes]:
    """Crops of the photographs that scikit-learn and matplotlib carry."""
    folder = Path(importlib.util.find_spec("sklearn.datasets").origin).parent / "images"
    files = [folder / "china.jpg", folder / "flower.jpg",
             Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"]
    rng = np.random.default_rng(0)
    for i in range(COUNT):
        with Image.open(files[i % 3]) as image:
            side = int(rng.integers(200, 420))
            x, y = (int(rng.integers(0, n - side + 1)) for n in image.size)
            yield _png(np.asarray(image.convert("RGB").crop((x, y, x + side, y + side))))


def noise() -> Iterator[bytes]:
    """Uniform noise."""
    rng = np.random.default_rng(1)
    for _ in range(COUNT):
        yield _png(rng.integers(0, 256, (400, 500), dtype=np.uint8))


def phantoms() -> Iterator[bytes]:
    """The product's own synthetic ultrasound: near the real kind, but not it."""
    for i in range(COUNT):
        yield _png(phantom.generate(PhantomConfig(), 7, i).image)


def other_modalities() -> Iterator[bytes]:
    """Radiographs, CT, MR and others: the public DICOM files of pydicom's and deid's packages."""
    found = [Path(importlib.util.find_spec(m).submodule_search_locations[0]) / sub
             for m, sub in (("pydicom", "data/test_files"), ("data_store", "data"),
                            ("deid_data", "data"))]
    for path in sorted(p for f in found for p in f.rglob("*.dcm")):
        try:
            pixels = dicom_file.pixels(path.parent, path.name, 1)
        except BedsideError:
            continue
        if min(pixels.shape[:2]) >= 64 and pixels.max() > pixels.min():
            yield _png(pixels)


def _changed(change: Callable[[np.ndarray], np.ndarray]) -> Iterator[bytes]:
    for data in test_images():
        yield _png(change(np.asarray(Image.open(io.BytesIO(data)).convert("L"))))


def test_images() -> Iterator[bytes]:
    """The files of the run's test split."""
    busi = need_busi()
    for case in stored.cases(trained_run()):
        if case.split == "test":
            yield (busi / case.file).read_bytes()


def _rates(device: Device, images: Iterable[bytes]) -> dict[str, object]:
    answers = [a for a, _ in device.images(("x", image) for image in images)]
    counts = {"unlike": sum(a.familiar is False for a in answers),
              "warned": sum(bool(a.warnings) for a in answers)}
    facts: dict[str, object] = {"n": len(answers)}
    for name, count in counts.items():
        found = stats.proportion(count, len(answers), "no image")
        facts[name] = {"count": count, "value": round(found.value or 0, 3),
                       "low": round(found.low or 0, 3), "high": round(found.high or 0, 3)}
    return facts


def main() -> None:
    """Measure and print (or save)."""
    warnings.simplefilter("ignore")
    opened = open_bundle(bundle(), (), allow_unsigned=True)
    known = opened.familiarity
    kinds: dict[str, Callable[[], Iterable[bytes]]] = {
        "photographs": photographs, "uniform noise": noise, "synthetic ultrasound": phantoms,
        "other modalities (DICOM)": other_modalities,
        "test images inverted": lambda: _changed(lambda p: 255 - p),
        "test images upside down": lambda: _changed(lambda p: p[::-1].copy())}
    with Device(opened) as device:
        like = _rates(device, test_images())
        other = {name: _rates(device, make()) for name, make in kinds.items()}
    finish({"what": "images of another kind told from images like the training data, on the "
                    "trained EfficientNet-Lite0 INT8 (BUSI)",
            "false_warnings": {"test images of BUSI": like}, "detection": other,
            "limit_from": f"{known.validation_images} validation images, 99% quantile"
            if known else None, "training_images": known.training_images if known else None})


if __name__ == "__main__":
    main()
