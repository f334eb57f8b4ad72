"""Share a finished stage's files with another run folder instead of making them again."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from bedside.runfolder import artefact


def borrow(source: Path, folder: Path) -> None:
    """Link (or copy, across disks) every published file of a folder, its manifest last.

    Published files are replaced as a whole, never written into, so that a link is safe.

    Args:
        source: a folder in which every stage that its manifest names has finished.
        folder: what is to look the same; what lies there goes.

    Raises:
        BadInput: a file of the source is missing or differs from its manifest.
    """
    found = artefact.check_all(source)
    with artefact.disk_errors(folder):
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        for name in dict.fromkeys(n for stage in found.values() for n in stage.files):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            _link(source / name, folder / name)
        shutil.copyfile(source / artefact.MANIFEST, folder / artefact.MANIFEST)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or a file system without links
        shutil.copyfile(source, target)
