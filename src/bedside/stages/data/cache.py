"""Decode and resize every image once, into the pixel store that later stages read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.progress import Progress
from bedside.core.types import Case, Preprocess
from bedside.readers.load import pixels_of
from bedside.readers.parallel import Throttle, ordered_map
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.pixels import INDEX, PIXELS, PixelIndex
from bedside.runtime.preprocess import Pixels, resize
from bedside.stages.data.source import dataset_root

FLAG_16BIT = "16-bit"
STAGE = "cache"


def build_cache(run: Path, preprocess: Preprocess, workers: int = 2,
                progress: Progress | None = None) -> Path:
    """Write the pixel store of a run for one preprocessing, or leave a finished one.

    The store is uint16 where any image is 16-bit; 8-bit images are then multiplied by 257,
    which divides out exactly under either normalisation.

    Returns:
        The store's folder.

    Raises:
        BadInput: an image changed or vanished since the data stage, or is all black once
            resized.
    """
    cases = [c for c in stored.cases(run) if c.split != "set_aside"]
    folder = layout.cache_dir(run, preprocess)
    key = artefact.stage_key(STAGE, 1, preprocess, [(c.id, c.sha256) for c in cases])
    if artefact.finished(folder, STAGE, key):
        if progress:
            progress(STAGE, len(cases), len(cases))
        return folder
    root = dataset_root(run)
    is_16bit = any(FLAG_16BIT in c.flags for c in cases)
    throttle = Throttle(progress, STAGE, len(cases))

    def prepared(case: Case) -> Pixels:
        return _prepared(root, case, preprocess, is_16bit)

    with artefact.writing(folder, STAGE, key) as scratch:
        with (scratch / PIXELS).open("wb") as handle:
            for pixels in ordered_map(prepared, cases, workers):
                handle.write(pixels.tobytes())
                throttle.tick()
        index = PixelIndex(preprocess, "uint16" if is_16bit else "uint8",
                           tuple(c.id for c in cases))
        artefact.write_text(scratch / INDEX, codec.to_json(index))
    return folder


def _prepared(root: Path, case: Case, preprocess: Preprocess, is_16bit: bool) -> Pixels:
    try:
        pixels = resize(pixels_of(root, case.file, preprocess.channels), preprocess)
    except OSError as error:
        raise BadInput(f"cannot be read ({error.strerror})", where=root / case.file,
                       remedy="Put the data set back where it was, or run the data stage "
                       "again.") from None
    if not pixels.any():
        raise BadInput(f"all black once resized to {preprocess.width_px} x "
                       f"{preprocess.height_px} (maximum 0)", where=root / case.file,
                       remedy="Remove the file or choose a larger image size.")
    if is_16bit and pixels.dtype == np.uint8:
        scaled: Pixels = pixels.astype(np.uint16) * np.uint16(257)
        return scaled
    if not is_16bit and pixels.dtype != np.uint8:
        raise BadInput("has changed since the data stage (now 16-bit)", where=root / case.file,
                       remedy="Run the data stage again.")
    return pixels
