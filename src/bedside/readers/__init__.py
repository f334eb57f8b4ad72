"""Readers of data sets: a source on disk to a :class:`~bedside.readers.base.Listing`.

Every reader is ``read(source: Path, class_names: tuple[str, ...] = (), **options) -> Listing``,
the options being fields of ``DataConfig`` that :data:`OPTIONS` names. To add one: one file, one
line in :data:`READERS`, one branch in :func:`detect`.
"""

from __future__ import annotations

from pathlib import Path

from bedside.core.errors import BadInput
from bedside.core.study import DataConfig
from bedside.readers import file_kinds
from bedside.readers.dicom_walk import holds_dicom

MANIFEST_CSV = "manifest.csv"
TABLES = (".csv", ".tsv", ".xlsx")

READERS = {
    "folder": "bedside.readers.folder:read",
    "manifest": "bedside.readers.manifest:read",
    "npz": "bedside.readers.npz:read",
    "dicom": "bedside.readers.dicom:read",
}

OPTIONS: dict[str, tuple[str, ...]] = {
    "folder": ("layout",),
    "manifest": ("frames", "columns", "layout", "skip_bad"),
    "dicom": ("frames", "label_tag", "skip_bad"),
}

_KNOWN = ("Give a folder with one folder of images per class, a folder with a manifest.csv, a "
          "table (.csv, .tsv, .xlsx), a MedMNIST .npz, or a folder of DICOM that bedside import "
          "wrote.")


def detect(source: Path, mapped: bool = False) -> str:
    """Return which of :data:`READERS` reads ``source``.

    Args:
        source: a folder or a file.
        mapped: whether a mapping of columns is given, so that a folder holds a table.

    Raises:
        BadInput: nothing is there, or no reader takes what is there.
    """
    if "\0" in str(source):
        raise BadInput("a path cannot hold a NUL character", where=repr(str(source)),
                       remedy="Check the path.")
    if source.is_dir():
        if mapped or (source / MANIFEST_CSV).exists():
            return "manifest"
        return "dicom" if holds_dicom(source) else "folder"
    if not source.exists():
        raise BadInput("no such file or folder", where=source, remedy="Check the path.")
    if source.is_file() and source.suffix.lower() == ".npz":
        return "npz"
    if source.is_file() and source.suffix.lower() in TABLES:
        return "manifest"
    kind = file_kinds.of_file(source)
    if kind is not None:
        raise BadInput(f"{kind.name}, not a data set that bedside reads", where=source,
                       remedy=kind.remedy)
    raise BadInput("not a data set that bedside reads", where=source, remedy=_KNOWN)


def options_of(name: str, config: DataConfig) -> dict[str, object]:
    """Return the options of a configuration that the reader ``name`` takes.

    Raises:
        BadInput: ``label_tag``, ``columns`` or ``layout`` for a reader that has no use for it.
    """
    if config.columns and name != "manifest":
        raise BadInput("a mapping of columns is for a table", where="data.columns",
                       remedy="Leave it out.")
    if config.layout != "auto" and "layout" not in OPTIONS.get(name, ()):
        raise BadInput("layout is for a folder of images", where="data.layout",
                       remedy="Leave it out.")
    if config.label_tag is not None and "label_tag" not in OPTIONS.get(name, ()):
        raise BadInput("label_tag is for a folder of DICOM", where="data.label_tag",
                       remedy="Leave it out.")
    return {option: getattr(config, option) for option in OPTIONS.get(name, ())}
