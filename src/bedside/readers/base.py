"""The listing that every reader returns, and the check that files lie inside the data set."""

from __future__ import annotations

import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bedside.core.errors import BadInput
from bedside.core.types import Case, SetAside, Split

SPLITS: tuple[Split, ...] = ("train", "val", "test")

# Cells by which people say that they do not know.
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "not available", "-", "?"})
# How tables join the masks of one image.
MASK_SPLIT = re.compile(r"\s*[|&;]\s*")

_DRIVE = re.compile(r"^[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_INSIDE = "Write the path relative to the data set's folder, with / between folders."


@dataclass(frozen=True, slots=True)
class Listing:
    """A data set's images in order, and its unused entries with the reason.

    ``root`` is the folder, or the ``.npz`` file itself. ``cases`` have no id and no size yet:
    ``file`` and ``masks`` are relative to the root (an image of an ``.npz`` is named
    ``train_images[12]``), ``label`` is the data set's own class, before exclusions and merges,
    and ``split`` the given part, ``set_aside`` where none is given. ``notes`` are sentences for
    the audit.
    """

    root: Path
    cases: tuple[Case, ...]
    set_aside: tuple[SetAside, ...] = ()
    notes: tuple[str, ...] = ()


def missing(cell: str) -> bool:
    """Return whether a cell of a foreign table says nothing."""
    return cell.strip().lower() in _MISSING


def no_class_names(class_names: Sequence[str], source: Path) -> None:
    """Refuse ``--class-names`` where labels already have names. Raises BadInput."""
    if class_names:
        raise BadInput("--class-names is for the numbered labels of an .npz", where=source,
                       remedy="Leave it out; to rename or join classes use --merge NEW=A,B.")


def check_text(text: str, what: str, where: str) -> None:
    """Refuse a name that ``cases.csv`` cannot hold. Raises BadInput."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise BadInput(f"{what} {text!a} is not UTF-8", where=where, remedy="Rename it.") from None
    if _CONTROL.search(text):
        raise BadInput(f"{what} {text!a} holds a control character", where=where,
                       remedy="Rename it.")


def relative_name(text: str, where: str) -> str:
    """Return a table's path in canonical spelling (``a/./b.png`` is ``a/b.png``).

    Raises:
        BadInput: empty, absolute (also a Windows drive or UNC path), with ``..``, with a
            backslash, NUL or another control character.
    """
    check_text(text, "the path", where)
    if not text.strip():
        raise BadInput("an empty path", where=where, remedy="Give the file or remove the line.")
    shown = text if len(text) <= 120 else text[:117] + "..."
    if text.startswith(("/", "\\")) or _DRIVE.match(text):
        raise BadInput(f"{shown!r} is an absolute path", where=where, remedy=_INSIDE)
    if "\\" in text:
        raise BadInput(f"{shown!r} holds a backslash", where=where, remedy=_INSIDE)
    path = PurePosixPath(text)
    if ".." in path.parts:
        raise BadInput(f"{shown!r} leads outside the data set", where=where, remedy=_INSIDE)
    return path.as_posix()


def file_inside(root: Path, name: str, where: str) -> Path:
    """Return the regular file ``name`` (from :func:`relative_name`) under ``root``.

    Args:
        root: the data set's folder, resolved.

    Raises:
        BadInput: missing, not a regular file, or a link that leads outside ``root``.
    """
    path = root / name
    try:
        real = path.resolve(strict=True)
        mode = real.stat().st_mode
    except FileNotFoundError:
        raise BadInput(f"no such file: {name!r}", where=where,
                       remedy=f"Put it into {root} or remove the line.") from None
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "a loop of links"
        raise BadInput(f"{name!r} cannot be read ({reason})", where=where,
                       remedy="Check the file and its permissions.") from None
    if not real.is_relative_to(root):
        raise BadInput(f"{name!r} is a link that leads outside the data set", where=where,
                       remedy="Copy the file into the data set.")
    if not stat.S_ISREG(mode):
        raise BadInput(f"{name!r} is not a regular file", where=where,
                       remedy="Give a file; folders, pipes and devices are not read.")
    return real
