"""Reader of MedMNIST ``.npz``: ``train_images`` (n, H, W[, 3]), ``train_labels`` (n,) or (n, 1), ….

Read without pickle, and without trusting a size: an array's header must fit the size that the
zip directory gives before any of its data is read. Images are streamed, so a file larger than
memory can be used.
"""

from __future__ import annotations

import threading
import zipfile
import zlib
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self, cast

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from bedside.core.errors import BadInput
from bedside.core.registry import did_you_mean
from bedside.core.types import Case, SetAside
from bedside.readers.base import SPLITS, Listing, check_text
from bedside.runtime.preprocess import MAX_PIXELS, Pixels

_BLOCK_BYTES = 16 << 20
_BLOCKS_KEPT = 4
_MAX_IMAGES = 10_000_000
_REWRITE = "Write the file anew with numpy.savez (integers, no objects)."


@dataclass(frozen=True, slots=True)
class _Array:
    member: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int


class NpzImages:
    """Random access to the images of one ``.npz``; reading in order is cheap.

    Safe to use from several threads. Blocks of 16 MB are decompressed and the last four kept.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip = _open(path)
        self.arrays = {name: _header(self._zip, path, name) for name in _members(self._zip, path)}
        self._lock = threading.Lock()
        self._streams: dict[str, IO[bytes]] = {}
        self._blocks: OrderedDict[tuple[str, int], npt.NDArray[Any]] = OrderedDict()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        for stream in self._streams.values():
            stream.close()
        self._zip.close()

    def image(self, key: str, index: int) -> Pixels:
        """Return one image, (H, W) or (H, W, 3), uint8 or uint16.

        Raises:
            BadInput: no such image, or damaged data.
        """
        array = self.arrays.get(key)
        if array is None or not 0 <= index < array.shape[0]:
            raise BadInput(f"no image {key}[{index}]", where=self.path, remedy="Check the file.")
        per_block = max(1, _BLOCK_BYTES // _item_bytes(array))
        with self._lock:
            block = self._block(key, array, index // per_block, per_block)
        plane = block[index % per_block]
        if plane.ndim == 3 and plane.shape[2] == 1:
            plane = plane[..., 0]
        return cast(Pixels, plane)

    def _block(self, key: str, array: _Array, number: int, per_block: int) -> npt.NDArray[Any]:
        if (key, number) in self._blocks:
            self._blocks.move_to_end((key, number))
            return self._blocks[key, number]
        count = min(per_block, array.shape[0] - number * per_block)
        size = _item_bytes(array)
        with _readable(self.path, key):
            if key not in self._streams:
                self._streams[key] = self._zip.open(array.member)
            stream = self._streams[key]
            stream.seek(array.offset + number * per_block * size)
            data = stream.read(count * size)
        if len(data) != count * size:
            raise BadInput(f"the array {key!r} ends early", where=self.path, remedy=_REWRITE)
        block = np.frombuffer(data, array.dtype).reshape(count, *array.shape[1:])
        native = block.astype(array.dtype.newbyteorder("="), copy=False)
        self._blocks[key, number] = native
        while len(self._blocks) > _BLOCKS_KEPT:
            self._blocks.popitem(last=False)
        return native

    def labels(self, key: str) -> npt.NDArray[Any]:
        """Return a whole array of labels, (n,), integers (at most ten million)."""
        array = self.arrays[key]
        with _readable(self.path, key), self._zip.open(array.member) as stream:
            stream.seek(array.offset)
            data = stream.read(int(np.prod(array.shape)) * array.dtype.itemsize)
            flat = np.frombuffer(data, array.dtype).reshape(array.shape[0])
        return flat.astype(array.dtype.newbyteorder("="), copy=False)


def read(source: Path, class_names: Sequence[str] = ()) -> Listing:
    """List the images of a MedMNIST file; its keys give the split.

    Args:
        source: the ``.npz``.
        class_names: names of labels 0, 1, …; without them a label's name is its number.

    Raises:
        BadInput: not a zip of arrays, keys missing, object or float arrays, images that are no
            8- or 16-bit images, labels that are no whole numbers or outside the range.
    """
    names = _check_names(class_names)
    with NpzImages(source) as images:
        parts = [p for p in SPLITS if f"{p}_images" in images.arrays
                 or f"{p}_labels" in images.arrays]
        if "train" not in parts:
            raise BadInput("the key 'train_images' is missing", where=source,
                           remedy="A MedMNIST file has train_images and train_labels, and if "
                           "given val_… and test_….")
        cases: list[Case] = []
        for part in parts:
            labels = _labels_of(images, part)
            low, high = (int(labels.min()), int(labels.max())) if len(labels) else (0, 0)
            if low < 0 or (names and high >= len(names)):
                wrong = low if low < 0 else high
                raise BadInput(f"label {wrong} in {part}_labels is outside the range", where=source,
                               remedy=f"--class-names gives {len(names)} names, for labels 0 to "
                               f"{len(names) - 1}." if names else "Labels count from 0.")
            cases.extend(Case("", f"{part}_images[{i}]", names[v] if names else str(v), split=part)
                         for i, v in enumerate(labels.tolist()))
        used = {f"{p}_{kind}" for p in parts for kind in ("images", "labels")}
        aside = tuple(SetAside(k, "an array that is no image or label")
                      for k in images.arrays if k not in used)
    if not cases:
        raise BadInput("no image in the file", where=source, remedy=_REWRITE)
    return Listing(source.resolve(), tuple(cases), aside)


def _check_names(class_names: Sequence[str]) -> tuple[str, ...]:
    names = tuple(n.strip() for n in class_names)
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice or "" in names:
        raise BadInput(f"the class name {(twice or [''])[0]!r} is given twice or empty",
                       where="--class-names", remedy="Give one name a label: malignant,benign.")
    for name in names:
        check_text(name, "the class name", "--class-names")
    return names


def _labels_of(images: NpzImages, part: str) -> npt.NDArray[Any]:
    path = images.path
    for kind in ("images", "labels"):
        if f"{part}_{kind}" not in images.arrays:
            raise BadInput(f"the key '{part}_{kind}' is missing", where=path,
                           remedy=did_you_mean(f"{part}_{kind}", images.arrays))
    array, labels = images.arrays[f"{part}_images"], images.arrays[f"{part}_labels"]
    if array.dtype.newbyteorder("=") not in (np.dtype("u1"), np.dtype("u2")):
        hint = ", which may hold NaN" if array.dtype.kind in "fc" else ""
        raise BadInput(f"{part}_images holds {array.dtype.name} pixels{hint}", where=path,
                       remedy="Save the pixels as uint8 or uint16.")
    if len(array.shape) not in (3, 4) or (len(array.shape) == 4 and array.shape[3] not in (1, 3)):
        raise BadInput(f"{part}_images has the shape {array.shape}", where=path,
                       remedy="Pictures are (n, H, W) or (n, H, W, 3); volumes are not read.")
    if not 0 < array.shape[1] * array.shape[2] <= MAX_PIXELS:
        raise BadInput(f"images of {array.shape[2]} x {array.shape[1]} pixels", where=path,
                       remedy=f"An image has from 1 pixel to {MAX_PIXELS // 1_000_000} megapixels.")
    if len(array.shape) == 4 and array.shape[3] == 3 and array.dtype.itemsize == 2:
        raise BadInput(f"{part}_images holds 16-bit colour", where=path,
                       remedy="Save colour as uint8; 16 bits are for grey.")
    if labels.dtype.kind not in "iu":
        raise BadInput(f"{part}_labels holds {labels.dtype.name}, not whole numbers", where=path,
                       remedy="Save the labels as integers from 0.")
    if labels.shape not in ((array.shape[0],), (array.shape[0], 1)):
        raise BadInput(f"{part}_labels has the shape {labels.shape} for {array.shape[0]} images",
                       where=path, remedy="Give one label an image, (n,) or (n, 1).")
    if array.shape[0] > _MAX_IMAGES:
        raise BadInput(f"{array.shape[0]} images in one array", where=path,
                       remedy=f"At most {_MAX_IMAGES} are read.")
    return images.labels(f"{part}_labels")


# ------------------------------------------------------------------ zip and npy


@contextmanager
def _readable(path: Path, name: str) -> Iterator[None]:
    """Turn what zipfile and zlib raise on damaged data into one message."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
        raise BadInput(f"the array {name!r} does not read ({type(error).__name__})",
                       where=path, remedy=_REWRITE) from None


def _open(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, EOFError):
        raise BadInput("not an .npz (no zip of arrays)", where=path, remedy=_REWRITE) from None
    except OSError as error:
        raise BadInput(f"cannot be read ({error.strerror})", where=path,
                       remedy="Check the file and its permissions.") from None


def _members(archive: zipfile.ZipFile, path: Path) -> list[str]:
    names = [i.filename[:-4] for i in archive.infolist() if i.filename.endswith(".npy")]
    twice = sorted(n for n, count in Counter(names).items() if count > 1)
    if twice:
        raise BadInput(f"the array {twice[0]!r} is in the file twice", where=path, remedy=_REWRITE)
    return names


def _item_bytes(array: _Array) -> int:
    return int(np.prod(array.shape[1:], dtype=np.int64)) * array.dtype.itemsize


def _header(archive: zipfile.ZipFile, path: Path, name: str) -> _Array:
    """Return the shape and type of one array, checked against the zip directory."""
    member = archive.getinfo(f"{name}.npy")
    if member.flag_bits & 1:
        raise BadInput(f"the array {name!r} is encrypted", where=path, remedy=_REWRITE)
    with _readable(path, name), archive.open(member) as stream:
        version = npy.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise ValueError("version")
        # Typed for real files; a zip member reads the same way.
        reader: Any = (npy.read_array_header_1_0 if version == (1, 0)
                       else npy.read_array_header_2_0)
        shape, fortran, dtype = reader(stream)
        offset = stream.tell()
    if dtype.hasobject:
        raise BadInput(f"the array {name!r} holds Python objects", where=path,
                       remedy="Objects can run code when read and are refused. " + _REWRITE)
    count = 1
    for length in shape:
        count *= int(length)
    if min(shape, default=1) < 0 or offset + count * dtype.itemsize != member.file_size:
        raise BadInput(f"the array {name!r} is not of the size its header gives", where=path,
                       remedy=_REWRITE)
    if fortran and sum(length > 1 for length in shape) > 1:
        raise BadInput(f"the array {name!r} is in Fortran order", where=path,
                       remedy="Save numpy.ascontiguousarray of it.")
    return _Array(member.filename, tuple(int(v) for v in shape), dtype, offset)
