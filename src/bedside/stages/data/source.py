"""The path of a run's data set, stored beside its cases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.runfolder import layout

SOURCE = "source.json"


@dataclass(frozen=True, slots=True)
class Source:
    """``source.json``: ``root`` is absolute, or relative to the run for a synthetic data set."""

    reader: str
    root: str


def dataset_root(run: Path, folder: Path | None = None) -> Path:
    """Return the folder (or ``.npz``) that the files of a run's cases are relative to.

    Args:
        run: the run folder.
        folder: where the data stage wrote, ``RUN/data`` by default.

    Raises:
        BadInput: the data stage has not finished, or the data set is no longer there.
    """
    source = codec.read_json(Source, (folder or layout.data_dir(run)) / SOURCE)
    root = run / source.root
    if not root.exists():
        raise BadInput("the data set is no longer here", where=root,
                       remedy="Put it back, or run with its new path.")
    return root
