"""``bedside import``: de-identify a folder, a table or an ``.npz`` into a data set.

Everything goes through :mod:`bedside.deid`; import adds the record by which readers of
DICOM know that it did, and accepts data sets that are no folder.
"""

from __future__ import annotations

import contextlib
import csv
import os
import posixpath
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from bedside.core.errors import BadInput
from bedside.core.progress import Progress
from bedside.core.types import DeidConfig
from bedside.deid import batch, key, spelling
from bedside.deid.ledger import Ledger
from bedside.readers import MANIFEST_CSV, imported, npz
from bedside.readers.base import Listing
from bedside.readers.files import cleaned
from bedside.readers.manifest import MASK_SEPARATOR, OPTIONAL, read_table
from bedside.runtime.files import disk_errors

_UNPACKED = ".npz"
_SHOWN = 5


def private_of(out: Path) -> Path:
    """Return the default private folder, beside ``out``, for the key and the original names."""
    return out.with_name(out.name + "-private")


def import_dataset(src: Path, out: Path, private: Path, config: DeidConfig | None = None,
                   progress: Progress | None = None, workers: int = 2,
                   key_file: Path | None = None, class_names: Sequence[str] = ()) -> Ledger:
    """Make a clean data set that ``bedside run`` takes; see :func:`batch.deidentify`.

    Args:
        src: a folder of DICOM, images and tables; a CSV ``file,label…`` with what it names;
            or a MedMNIST ``.npz``, whose images become PNG files with a ``manifest.csv``.
        out: the data set; resumed where an earlier run was stopped.
        private: see :func:`batch.deidentify`.
        config: options.
        progress: called with (stage, done, total[, detail]).
        workers: processes.
        key_file: a key of the user's own.
        class_names: names for the labels 0, 1, … of an ``.npz``.

    Returns:
        One entry for every file, or image, of ``src``.

    Raises:
        BadInput: nothing there, or not a data set; see :func:`batch.deidentify`.
        MissingComponent: a component of the workbench is not installed.
    """
    suffix = src.suffix.lower()
    if class_names and suffix != ".npz":
        raise BadInput("--class-names is for the numbered labels of an .npz", where=src,
                       remedy="Leave it out.")
    if src.is_dir():
        return _run(src, out, private, config, progress, workers, key_file)
    if not src.exists():
        raise BadInput("no such file or folder", where=src, remedy="Check the path.")
    if suffix == ".csv":
        wanted = _named_in(src)
        return _run(src.parent, out, private, config, progress, workers, key_file,
                    wanted.__contains__, origin=src)
    if suffix != ".npz":
        raise BadInput("not a data set that bedside imports", where=src, remedy="Give a folder, "
                       "a CSV with columns file,label, or a MedMNIST .npz.")
    batch.check_folders(src.parent / f"{src.name} unpacked", out, private)
    # Read before the private folder is made: a refused source or key leaves none behind.
    listing = npz.read(src, class_names)
    key.find_key(private, key_file)
    made = not private.exists()
    key.private_dir(private)
    unpacked = private / _UNPACKED
    shutil.rmtree(unpacked, ignore_errors=True)
    key.private_dir(unpacked)
    try:
        _unpack(src, listing, unpacked, progress)
        return _run(unpacked, out, private, config, progress, workers, key_file, inside=True,
                    origin=src)
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
        if made:
            with contextlib.suppress(OSError):
                # Removed only where it is empty: nothing was stored.
                private.rmdir()


def _run(root: Path, out: Path, private: Path, config: DeidConfig | None,
         progress: Progress | None, workers: int, key_file: Path | None,
         wanted: Callable[[str], bool] | None = None, inside: bool = False,
         origin: Path | None = None) -> Ledger:
    return batch.deidentify(root, out, private, config, progress, workers, key_file,
                            stage=imported.STAGE, facts={imported.FACT: imported.DEIDENTIFIED},
                            wanted=wanted, inside=inside, origin=origin)


def _named_in(table: Path) -> set[str]:
    """Return the files that a table names, and the table, relative to its folder.

    Raises:
        BadInput: a row without its file or mask in the folder; else it would go unnoticed, for
            import only counts the rows whose file did not pass.
    """
    rows, _ = read_table(table, ("file", "label"), OPTIONAL)
    there = _files_below(table.parent)
    spelled = spelling.Spelled(there)
    found = {table.name}
    lost = []
    for where, row in rows:
        name = spelled.found(posixpath.normpath(cleaned(row["file"])))
        names = {name, spelling.without_frame(name)}
        masks = {spelled.found(posixpath.normpath(cleaned(m)))
                 for m in row.get("mask", "").split(MASK_SEPARATOR) if m.strip()}
        if there.isdisjoint(names) or not masks <= there:
            lost.append(where.rpartition(": line ")[2])
        found |= names | masks
    if lost:
        # Line numbers only: file names may name patients.
        more = f" and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else ""
        raise BadInput(f"no such file or mask in the folder, in {len(lost)} of {len(rows)} rows "
                       f"(line {', '.join(lost[:_SHOWN])}{more})", where=table,
                       remedy="Put the files into the table's folder, not as links to folders, "
                       "or remove the lines.")
    return found


def _files_below(root: Path) -> set[str]:
    """Return the files that import will read; links to folders are not followed."""
    return {posixpath.normpath((Path(folder).relative_to(root) / name).as_posix())
            for folder, _, files in os.walk(root) for name in files}


def _unpack(src: Path, listing: Listing, folder: Path, progress: Progress | None) -> None:
    """Write an ``.npz`` as PNG files and a table; names hold the array and the index alone."""
    with npz.NpzImages(src) as images, disk_errors(folder), (
            folder / MANIFEST_CSV).open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["file", "label", "split"])
        for number, case in enumerate(listing.cases):
            array, _, rest = case.file.partition("[")
            name = f"{array}-{int(rest.rstrip(']')):07d}.png"
            Image.fromarray(images.image(array, int(rest.rstrip("]")))).save(folder / name)
            writer.writerow([name, case.label, case.split])
            if progress and number % 1000 == 999:
                progress("unpack", number + 1, len(listing.cases))
