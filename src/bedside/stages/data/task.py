"""The classes of a study: exclusions, merges, and the positive class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from bedside.core.errors import BadInput
from bedside.core.registry import did_you_mean
from bedside.core.study import DataConfig
from bedside.core.types import Task
from bedside.readers.base import check_text
from bedside.readers.names import folded, nfc

DEFAULT_POSITIVE = "malignant"


def resolve(config: DataConfig, labels: Iterable[str]) -> tuple[Task, dict[str, str | None]]:
    """Choose the task.

    Args:
        config: exclusions, merges and the positive class.
        labels: every image's class in the data set.

    Returns:
        The task (classes sorted; of two the positive one last), and what each class of the
        data set becomes: a class of the task, or None where it is excluded.

    Raises:
        BadInput: a name that is no class, a class used twice, fewer than two classes left.
    """
    known = sorted(set(labels))
    # A terminal may give the decomposed form; readers give the composed one.
    config = replace(config, exclude=tuple(map(nfc, config.exclude)),
                     merge={nfc(new): tuple(map(nfc, m)) for new, m in config.merge.items()},
                     positive=None if config.positive is None else nfc(config.positive))
    _check_names(config.exclude, known, "--exclude")
    becomes: dict[str, str | None] = {label: label for label in known}
    for label in config.exclude:
        becomes[label] = None
    for new, members in config.merge.items():
        _check_merge(new, members, known, config.merge, config.exclude)
        for label in members:
            becomes[label] = new
    classes = sorted({c for c in becomes.values() if c is not None})
    _check_spelling(classes)
    if len(classes) < 2:
        left = f"only the class {classes[0]!r}" if classes else "no class"
        raise BadInput(f"{left} is left of {', '.join(known)}", where="classes",
                       remedy="A study tells at least two classes apart: add images of another, "
                       "or exclude and merge less.")
    positive = _positive(config.positive, classes)
    if positive is not None:
        classes = [c for c in classes if c != positive] + [positive]
    task = Task(tuple(classes), positive, tuple(config.exclude), dict(config.merge))
    return task, becomes


def _check_spelling(classes: list[str]) -> None:
    """Refuse classes that one person would read as one."""
    by_name: dict[str, list[str]] = {}
    for name in classes:
        by_name.setdefault(folded(name), []).append(name)
    for same in by_name.values():
        if len(same) > 1:
            raise BadInput(f"the classes {' and '.join(map(repr, same))} differ in letter case or "
                           "outer spaces alone", where="classes", remedy="If they are one class, "
                           f"give --merge {same[-1].strip()}={','.join(same)}; else rename one.")


def _check_names(names: Iterable[str], known: list[str], flag: str) -> None:
    for name in names:
        if name not in known:
            raise BadInput(f"unknown class {name!r}", where=flag, remedy=did_you_mean(name, known))


def _check_merge(new: str, members: tuple[str, ...], known: list[str],
                 merges: Mapping[str, tuple[str, ...]], exclude: tuple[str, ...]) -> None:
    flag = "--merge"
    if not new.strip() or not members:
        raise BadInput("a merge needs a new name and the classes it joins", where=flag,
                       remedy="Write --merge other=benign,normal.")
    check_text(new, "the class", flag)
    _check_names(members, known, flag)
    users = Counter(m for group in merges.values() for m in group)
    twice = [m for m in members if users[m] > 1]
    if twice:
        raise BadInput(f"the class {twice[0]!r} is merged twice", where=flag,
                       remedy="Name each class once.")
    both = [m for m in members if m in exclude]
    if both:
        raise BadInput(f"the class {both[0]!r} is merged and excluded", where=flag,
                       remedy="Leave it out of one of them.")
    if new in known and new not in members and users[new] == 0 and new not in exclude:
        raise BadInput(f"the new name {new!r} is a class already", where=flag,
                       remedy=f"Add it to the list ({new}={new},{','.join(members)}) or choose "
                       "another name.")


def _positive(wanted: str | None, classes: list[str]) -> str | None:
    if wanted is None:
        if len(classes) != 2:
            return None
        found = [c for c in classes if c.lower() == DEFAULT_POSITIVE]
        return found[0] if found else classes[-1]
    if wanted not in classes:
        raise BadInput(f"unknown class {wanted!r}", where="--positive",
                       remedy=did_you_mean(wanted, classes))
    if len(classes) != 2:
        raise BadInput(f"a positive class among {len(classes)} classes", where="--positive",
                       remedy="It is for two classes; merge the others or leave it out.")
    return wanted


def check_counts(counts: Mapping[str, int], classes: Iterable[str], where: str) -> None:
    """Refuse a class of fewer than two usable images. Raises BadInput."""
    for name in classes:
        n = counts.get(name, 0)
        if n < 2:
            raise BadInput(f"the class {name!r} has {'one image' if n else 'no image'}",
                           where=where, remedy="Add images, or leave the class out with "
                           f"--exclude {name}.")
