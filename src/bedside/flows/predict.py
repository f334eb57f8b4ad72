"""Answers for images on this device: a verified bundle or a variant's folder, image by image."""

from __future__ import annotations

import platform
import re
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from bedside.core.errors import BadInput, MissingComponent
from bedside.runtime import store as stores
from bedside.runtime.bundle.manifest import NOT_FOR_USE, OperatingPoint
from bedside.runtime.decide import Answer
from bedside.runtime.engine import Engine, Load, Raw

STDIN_BYTES = 200_000_000
_MASK = re.compile(r"^(?P<stem>.+)_mask(_\d+)?$")
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})


@dataclass(frozen=True, slots=True)
class Failure:
    """An image without an answer, and why."""

    image: str
    fault: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answers in the order of the images; ``facts`` tell what answered, as JSON can.

    ``failed``: images that do not read. ``masks``: annotations in folders, which were left out.
    """

    facts: dict[str, Any]
    answers: tuple[Answer, ...]
    remark: str
    failed: tuple[Failure, ...] = ()
    masks: int = 0


def predict(source: Path, images: Sequence[Path], *, threads: int | None = None,
            cam: Path | None = None, trust: Sequence[Path] = (), store: Path | None = None
            ) -> Prediction:
    """Answer images with a bundle (file, id or ``active``) or a variant's folder.

    Args:
        source: the bundle or the folder.
        images: files, folders of them, or ``-`` for one on standard input.
        threads: CPU threads; the bundle's own by default.
        cam: receives each image with its class activation map.
        trust: public keys that may sign, besides those of the store.
        store: where bundles are installed; this user's by default.

    Returns:
        An answer for each image, or its failure: one bad file costs no other its answer.

    Raises:
        BadInput: no image, a path that does not exist, or a source that is neither.
        GateFailed: the bundle does not verify, or its self-test fails.
        MissingComponent: a DICOM file without the workbench.
    """
    folder = store or stores.default_store()
    # The engine imports while this process verifies.
    with Engine() as engine:
        if source.is_dir() or (not source.exists() and "/" in str(source)):
            model: _Variant | _Bundle = _Variant(source, engine, threads)
        else:
            model = _Bundle(source, engine, threads, folder, tuple(trust))
        files, masks = _images_in(images)
        found = list(_answers(model, files, cam))
        return Prediction(model.facts, tuple(a for a in found if isinstance(a, Answer)),
                          model.remark, tuple(f for f in found if isinstance(f, Failure)), masks)


class _Variant:
    """A variant's folder: nothing but its classes is known of it."""

    def __init__(self, folder: Path, engine: Engine, threads: int | None) -> None:
        from bedside.runtime.variant import read_variant

        variant, data = read_variant(folder)
        engine.open(Load(((str(folder / variant.file), data),), variant.preprocess,
                         len(variant.task.classes), threads=threads or 2))
        self.engine, self.task, self.channels = engine, variant.task, variant.preprocess.channels
        self.point, self.known = OperatingPoint(threshold=None), None
        self.facts: dict[str, Any] = {"variant": variant.id, "model_sha256": variant.sha256,
                                      "threshold": None}
        self.remark = "not calibrated: the likeliest class"


class _Bundle:
    """A verified bundle, self-tested on this device."""

    def __init__(self, source: Path, engine: Engine, threads: int | None, store: Path,
                 trust: tuple[Path, ...]) -> None:
        from bedside.runtime.device import load_of, self_test

        data, where = stores.read_source(source, store)
        verified = stores.open_trusted(data, store, trust, where)
        manifest = verified.manifest
        engine.open(load_of(verified, threads))
        test = self_test(engine, verified)
        self.engine, self.task = engine, manifest.task
        self.channels = manifest.preprocess.channels
        self.point, self.known = manifest.operating_point, verified.familiarity
        self.facts = {
            "variant": manifest.model.variant,
            "model_sha256": manifest.files[manifest.model.file].sha256,
            "threshold": self.point.threshold, "positive": self.task.positive,
            "bundle": {"id": verified.id, "name": manifest.name,
                       "signed": verified.signer is not None, "signer": verified.signer},
            "operating_point": self.point, "self_test": test,
            "below_floor": manifest.below_floor}
        self.remark = (f"{manifest.name}, {verified.signed}; {self.point.rule}; self-test passed "
                       f"on {platform.machine()} ({test.vectors} vectors)")
        if manifest.below_floor:
            self.remark = f"{NOT_FOR_USE}: {'; '.join(manifest.below_floor)}. {self.remark}"


def _answers(model: _Variant | _Bundle, images: Sequence[Path], cam: Path | None
             ) -> Iterator[Answer | Failure]:
    from bedside.runtime.decide import decide, predicted_class

    for number, (path, raw, data) in enumerate(_run(model, images), 1):
        if isinstance(raw, BadInput):
            yield Failure(str(path), raw.fault, raw.remedy)
            continue
        answer = decide(str(path), raw.logits, raw.features, raw.quality, model.task,
                       model.point, model.known)
        if cam is not None:
            from bedside.runtime.files import write_bytes
            from bedside.runtime.overlay import draw

            # A number, not the image's name: names of files may be names of people.
            target = cam / f"{number:04d}-{answer.predicted or 'withheld'}.png"
            index = predicted_class(list(answer.probabilities.values()), model.task,
                                    model.point.threshold)
            write_bytes(target, draw(_pixels(path, data, model.channels), raw, index))
            answer = replace(answer, overlay=str(target))
        yield answer


def _run(model: _Variant | _Bundle, images: Sequence[Path]
         ) -> Iterator[tuple[Path, Raw | BadInput, bytes | None]]:
    """Yield every image with the engine's output, or its fault.

    Successive images are handed over ahead.
    """
    for kind, paths in groupby(images, _kind):
        if kind == "unread":
            for path in paths:
                yield path, _unread(path), None
        elif kind == "image":
            sent: deque[tuple[Path, bytes]] = deque()
            for raw in model.engine.images(_sending(paths, sent)):
                path, data = sent.popleft()
                yield path, raw, data
        else:
            for path in paths:
                yield path, _dicom_answer(model, path), None


def _dicom_answer(model: _Variant | _Bundle, path: Path) -> Raw | BadInput:
    try:
        pixels = _dicom(path, model.channels)
        little = pixels.astype(pixels.dtype.newbyteorder("<"))
        return model.engine.pixels(little.tobytes(), pixels.shape, pixels.dtype.name, str(path))
    except BadInput as error:
        return error


def _sending(paths: Iterator[Path], sent: deque[tuple[Path, bytes]]) -> Iterator[tuple[str, bytes]]:
    for path in paths:
        try:
            data = _read(path)
        except BadInput:
            data = b""  # vanished since it was listed: the engine says that it is empty
        sent.append((path, data))
        yield str(path), data


def _kind(path: Path) -> Literal["image", "dicom", "unread"]:
    """Return who reads a file: the engine, the DICOM reader, or nobody (no permission)."""
    try:
        return "dicom" if _is_dicom(path) else "image"
    except OSError:
        return "unread"


def _unread(path: Path) -> BadInput:
    try:
        _read(path)
    except BadInput as error:
        return error
    return BadInput("cannot be read", where=path, remedy="Check the path and its permissions.")


def _pixels(path: Path, data: bytes | None, channels: int) -> Any:
    from bedside.runtime.preprocess import decode

    return _dicom(path, channels) if data is None else decode(data, channels, str(path))


def _read(path: Path) -> bytes:
    if str(path) == "-":
        data = sys.stdin.buffer.read(STDIN_BYTES + 1)
        if len(data) > STDIN_BYTES:
            raise BadInput("more than 200 MB on standard input", where=path,
                           remedy="Give one image.")
        return data
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot be read ({error.strerror})", where=path,
                       remedy="Check the path and its permissions.") from None


def _is_dicom(path: Path) -> bool:
    if str(path) == "-" or path.suffix.lower() in IMAGE_SUFFIXES or not path.is_file():
        return False
    if path.suffix.lower() in (".dcm", ".dicom"):
        return True
    with path.open("rb") as handle:
        return handle.read(132)[128:] == b"DICM"


def _dicom(path: Path, channels: int) -> Any:
    """The pixels of a DICOM file, decoded in a process of its own."""
    import importlib.util

    if importlib.util.find_spec("pydicom") is None:
        raise MissingComponent("DICOM needs the package 'pydicom', which is not installed",
                               remedy="Install the workbench: pip install 'bedside[workbench]'.")
    from bedside.readers import dicom_file

    return dicom_file.pixels(path.parent, path.name, channels)


def _images_in(paths: Sequence[Path]) -> tuple[list[Path], int]:
    """Return the images named, and the number of masks left out.

    A folder stands for the images in it, sorted; files ending in ``_mask`` beside the image that
    they belong to are annotations.

    Raises:
        BadInput: a path that does not exist, or a folder without an image.
    """
    known, found, masks = IMAGE_SUFFIXES | {".dcm", ".dicom"}, list[Path](), 0
    for path in paths:
        if str(path) != "-" and not path.exists():
            raise BadInput("no such file", where=path, remedy="Check the path.")
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(p for p in path.iterdir() if p.suffix.lower() in known and p.is_file()
                        and not p.name.startswith("."))
        stems = {p.stem for p in inside}
        images = [p for p in inside if _mask_of(p.stem) not in stems]
        if not images:
            raise BadInput("no PNG, JPEG, BMP, TIFF or DICOM in the folder", where=path,
                           remedy="Give image files or a folder of them.")
        masks += len(inside) - len(images)
        found += images
    return found, masks


def _mask_of(stem: str) -> str | None:
    match = _MASK.match(stem)
    return None if match is None else match["stem"]
