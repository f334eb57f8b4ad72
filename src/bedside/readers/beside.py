"""Tables that lie beside images: do they say something else than the folders?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bedside.core.errors import BadInput
from bedside.core.types import Case
from bedside.readers import tables
from bedside.readers.base import missing
from bedside.readers.columns import expressions
from bedside.readers.files import FileIndex, Tree, stem
from bedside.readers.masks import Pairing
from bedside.readers.names import part_of
from bedside.readers.propose import Proposal, propose, speaks_of_label

_MOST_TABLES = 8
_ROWS = 20_000
_UNREAD = "beside the images is not read"
_UNKNOWN = "To read the labels from {table}, name its columns: --columns file=…,label=…. "
# Columns of the ledger that bedside import writes: counts of what was removed, no labels.
_OF_IMPORT = frozenset({"id", "kind", "status", "reason", "file", "before", "after"})
# A table that names so many of the images it could be read by is one of this data set.
_OF_THIS = 0.5


def proposals(tree: Tree, pairing: Pairing) -> tuple[list[Proposal], list[str]]:
    """Return the tables of a folder that name its images, best first, and notes on unread ones."""
    images, masks = FileIndex(pairing.images), FileIndex(pairing.every_mask)
    found, notes = [], []
    for name in sorted(tree.tables, key=lambda n: (n.count("/"), n))[:_MOST_TABLES]:
        try:
            table = tables.read(tree.root / name, most_rows=_ROWS)
        except BadInput as error:
            notes.append(f"{name} {_UNREAD}: {error.fault}.")
            continue
        if set(table.header) >= _OF_IMPORT:
            continue
        proposal = propose(table, name, images, masks)
        if proposal is not None and proposal.matched >= _OF_THIS * proposal.looked_at:
            found.append(replace(proposal, alone=len(tree.tables) == 1))
        else:
            notes.append(f"{name} beside the images is not used: its rows name none of them.")
    found = _joined(found)
    return sorted(found, key=lambda p: ("label" not in p.columns, -p.rows)), notes


def _joined(found: list[Proposal]) -> list[Proposal]:
    """Join tables of the same columns that are named as parts: train.csv and valid.csv."""
    alike: dict[tuple[object, ...], list[Proposal]] = {}
    for p in found:
        split = p.columns.get("split", "")
        plain = {r: c for r, c in p.columns.items() if r != "split"}
        alike.setdefault((tuple(sorted(plain.items())), p.flags, p.unused, split), []).append(p)
    joined = []
    for same in alike.values():
        parts = {part_of(stem(p.table), loose=True) for p in same}
        if len(same) < 2 or None in parts or len(parts) < len(same):
            joined.extend(same)
            continue
        labels: Counter[str] = Counter()
        for p in same:
            labels.update(p.labels)
        joined.append(replace(
            same[0], table="+".join(p.table for p in same), rows=sum(p.rows for p in same),
            looked_at=sum(p.looked_at for p in same), matched=sum(p.matched for p in same),
            labels=dict(labels), alone=False))
    return joined


def suggestion(tree: Tree, pairing: Pairing, unknown: str = _UNKNOWN) -> str:
    """Return a sentence with the flag by which a table beside the images is read; or empty.

    Args:
        tree: the folder.
        pairing: its images and masks.
        unknown: the sentence where no table names the images; {table} is the first.
    """
    if not tree.tables:
        return ""
    found, notes = proposals(tree, pairing)
    if not found:
        unread = " ".join(n for n in notes if _UNREAD in n)
        return f"{unread} {unknown.format(table=tree.tables[0])}" if unread else (
            unknown.format(table=tree.tables[0]))
    best = found[0]
    if best.multi_label:
        return (f"{best.table} is multi-label ({len(best.flags)} columns of 0 and 1): pick one, "
                f"as {best.flag}. ")
    if "label" not in best.columns:
        columns = f", perhaps {', '.join(best.others[:4])}" if best.others else ""
        return f"Add the label's column{columns}: {best.flag_with('COLUMN')}. "
    return f"{best.table} names the images: {best.flag}. "


def compare(tree: Tree, cases: Sequence[Case], pairing: Pairing) -> tuple[str, ...]:
    """Return notes on tables that agree with the folders.

    Raises:
        BadInput: a table names the images and gives them other classes than the folders.
    """
    if not tree.tables:
        return ()
    found, notes = proposals(tree, pairing)
    label_of = {c.file: c.label for c in cases}
    for p in found:
        if p.multi_label or "label" not in p.columns:
            more = [r for r in p.columns if r not in ("file", "label")]
            spoken = [c for c in p.others if speaks_of_label(c)]
            if p.multi_label or (spoken and "split" not in p.columns):
                raise _two_readings(tree.root, p)
            if set(more) == {"split"} and not p.unused:
                notes.append(f"{p.table} gives a split, which is not used; to use it give "
                             f"--split-file {tree.root / p.table}.")
            else:
                notes.append(f"{p.table} names the images and is not used ({p.flag}).")
            continue
        if not _agree(tree.root, p, FileIndex(label_of), label_of):
            raise _two_readings(tree.root, p)
        more = [r for r in p.columns if r not in ("file", "label")]
        notes.append(f"{p.table} gives the same classes as the folders; it is not used."
                     + (f" For its {', '.join(more)} give {p.flag}." if more else ""))
    return tuple(notes)


def _agree(root: Path, p: Proposal, index: FileIndex, label_of: dict[str, str]) -> bool:
    """Return whether each label of the table is one folder and each folder one label."""
    pairs: dict[str, Counter[str]] = defaultdict(Counter)
    for name in p.table.split("+") if not (root / p.table).is_file() else [p.table]:
        table = tables.read(root / name, most_rows=_ROWS)
        roles = expressions({r: p.columns[r] for r in ("file", "label")}, table.header, name)
        for number, cells in table.rows:
            label = roles["label"].value(cells, table.where(number))
            file = index.find(roles["file"].value(cells, table.where(number)))
            if len(file) == 1 and not missing(label):
                pairs[label][label_of[file[0]]] += 1
    folders = [next(iter(c)) for c in pairs.values() if len(c) == 1]
    return len(folders) == len(pairs) == len(set(folders)) and bool(pairs)


def _two_readings(root: Path, p: Proposal) -> BadInput:
    said = (f"is multi-label ({len(p.flags)} columns of 0 and 1: {', '.join(p.flags[:3])}…), and "
            "a study tells the classes of one column apart" if p.multi_label else
            f"gives other labels ({p.columns['label']}: {', '.join(list(p.labels)[:4])})"
            if "label" in p.columns else f"may give labels ({', '.join(p.others[:4])})")
    use = p.flag if "label" in p.columns or p.multi_label else p.flag_with(p.others[0])
    return BadInput(f"{p.table} names the images and {said} than the folders do"
                    if "label" in p.columns else f"{p.table} names the images and {said}",
                    where=root, remedy=f"To read the table give {use}; for the folders as "
                    "classes give --layout classes.")
