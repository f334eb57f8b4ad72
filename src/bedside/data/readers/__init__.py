"""Readers of data sets: a source on disk to a :class:`~bedside.data.readers.base.Listing`.

Every reader is ``read(source: Path, class_names: tuple[str, ...] = ()) -> Listing``. To add one:
one file, one line in :data:`READERS`, one branch in :func:`detect`.
"""

from __future__ import annotations

from pathlib import Path

from bedside.errors import BadInput

MANIFEST_CSV = "manifest.csv"

READERS = {
    "folder": "bedside.data.readers.folder:read",
    "manifest": "bedside.data.readers.manifest:read",
    "npz": "bedside.data.readers.npz:read",
}

_KNOWN = ("Give a folder with one folder of images a class, a folder with a manifest.csv, a CSV "
          "file, or a MedMNIST .npz.")


def detect(source: Path) -> str:
    """Which of :data:`READERS` reads ``source``.

    Raises:
        BadInput: nothing is there, or no reader takes what is there.
    """
    if "\0" in str(source):
        raise BadInput("a path cannot hold a NUL character", where=repr(str(source)),
                       remedy="Check the path.")
    if source.is_dir():
        return "manifest" if (source / MANIFEST_CSV).exists() else "folder"
    if not source.exists():
        raise BadInput("no such file or folder", where=source, remedy="Check the path.")
    if source.is_file() and source.suffix.lower() == ".npz":
        return "npz"
    if source.is_file() and source.suffix.lower() == ".csv":
        return "manifest"
    raise BadInput("not a data set that bedside reads", where=source, remedy=_KNOWN)
