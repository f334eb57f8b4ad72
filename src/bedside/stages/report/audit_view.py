"""What the audit's page shows, from ``audit.json`` and ``cases.csv``; no markup here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bedside.core.text import plural
from bedside.core.types import Case

MOST_GROUPS = 40
MOST_IN_GROUP = 8
MOST_EXAMPLES = 8
MOST_OUTLIERS = 16

PARTS = {"train": "training", "val": "validation", "test": "test", "set_aside": "set aside"}
FINDINGS = {
    "calipers": ("Calipers", "crosses that mark a measurement"),
    "text": ("Text", "lines of letters in the picture"),
    "arrow": ("Arrows", "solid pointed marks"),
    "doppler": ("Doppler colour", "patches in the colours of flow"),
    "panels": ("Several panels", "pictures side by side or stacked"),
}
KINDS = {
    "same file": "the same file", "same pixels": "the same pixels in another file",
    "near": "the same view", "crop": "one is a part of the other",
    "mirrored": "one is mirrored",
}


@dataclass(frozen=True, slots=True)
class Shot:
    """One image on the page; ``src`` is a data URI, or empty where there is none."""

    file: str
    label: str
    part: str
    src: str = ""


@dataclass(frozen=True, slots=True)
class PictureGroup:
    """Images that are one picture, the least certain link first."""

    shots: tuple[Shot, ...]
    more: int
    kinds: str
    score: float
    first: str
    second: str
    conflict: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the summary: ``state`` is ``ok``, ``look`` or ``fail``."""

    state: str
    title: str
    text: str
    anchor: str


def groups(audit: Mapping[str, Any], cases: Sequence[Case]) -> list[PictureGroup]:
    """Groups of near-duplicates: conflicts first, then those whose weakest link is weakest."""
    parent: dict[str, str] = {}

    def find(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    for link in audit.get("duplicates", ()):
        parent[find(link["second"])] = find(link["first"])
    members: dict[str, list[str]] = {}
    for name in parent:
        members.setdefault(find(name), []).append(name)
    links: dict[str, list[Mapping[str, Any]]] = {}
    for link in audit.get("duplicates", ()):
        links.setdefault(find(link["first"]), []).append(link)
    by_file = {c.file: c for c in cases}
    found = []
    for root, names in members.items():
        weakest = min(links[root], key=lambda k: float(k["score"]))
        kinds = dict.fromkeys(KINDS.get(k["kind"], k["kind"]) for k in links[root])
        labels = {by_file[n].label for n in names if n in by_file}
        # The two of the least certain link come first, so that they stand side by side.
        pair = (weakest["first"], weakest["second"])
        ordered = [*pair, *sorted(set(names) - set(pair))]
        found.append(PictureGroup(
            tuple(shot(n, by_file) for n in ordered[:MOST_IN_GROUP]),
            max(0, len(ordered) - MOST_IN_GROUP),
            "; ".join(kinds),
            float(weakest["score"]), *pair, len(labels) > 1))
    return sorted(found, key=lambda g: (not g.conflict, g.score, g.first))


def shot(file: str, by_file: Mapping[str, Case]) -> Shot:
    """An image by name; an image that is no case has neither class nor part."""
    case = by_file.get(file)
    return Shot(file, case.label, PARTS[case.split]) if case else Shot(file, "", "")


def examples(cases: Sequence[Case]) -> dict[str, list[Shot]]:
    """Up to eight images of each finding, spread over the classes."""
    by_file = {c.file: c for c in cases}
    found: dict[str, list[Shot]] = {}
    for flag in FINDINGS:
        here = [c for c in cases if flag in c.flags and c.split != "set_aside"]
        by_label: dict[str, list[Case]] = {}
        for case in here:
            by_label.setdefault(case.label, []).append(case)
        turns: list[Case] = []
        while len(turns) < MOST_EXAMPLES and any(by_label.values()):
            turns.extend(rest.pop(0) for rest in by_label.values() if rest)
        if turns:
            found[flag] = [shot(c.file, by_file) for c in turns[:MOST_EXAMPLES]]
    return found


def summary(audit: Mapping[str, Any], cases: Sequence[Case]) -> list[Line]:
    """The page's first table: what was looked for, and what came of it."""
    torn = len(audit.get("twins", ()))
    now = shared(cases)
    lines = []
    if any(now):
        lines.append(Line("fail", "Leakage between parts", f"{plural(now[0], 'group')} "
                          f"and {plural(now[1], 'patient')} lie in several parts of the "
                          "given split: test images have twins in training. Run again with "
                          "--regroup.", "split"))
    else:
        mended = (f" The given split separated {plural(torn, 'group')}; each was moved "
                  "whole." if torn else "")
        lines.append(Line("ok", "Leakage between parts", "No group of near-duplicates and no "
                          f"patient lies in two parts.{mended}", "split"))
    repeats = len(audit.get("duplicates", ()))
    lines.append(Line("ok" if not repeats else "look", "Near-duplicates",
                      f"{plural(repeats, 'image')} repeat another; each is kept in the "
                      "part of its twin." if repeats else "No image repeats another.", "groups"))
    conflicts = audit.get("conflicts", ())
    files = sum(len(f) for c in conflicts for f in c["labels"].values())
    lines.append(Line("look" if conflicts else "ok", "Labels", (
        f"{plural(len(conflicts), 'picture')} under several classes: their "
        f"{plural(files, 'image')} are set aside." if conflicts
        else "No picture lies under two classes."), "groups"))
    warned = [s for s in audit.get("shortcuts", ()) if s["warning"]]
    # Of the families and their union the families say more.
    warned = [s for s in warned if s["name"] != "both together"] or warned
    lines.append(Line("look" if warned else "ok", "Shortcuts", (
        "The class can be told without the tissue: " + ", ".join(dict.fromkeys(
            s["name"] for s in warned)) + "." if warned else
        "Size and marks alone do not tell the classes apart."), "shortcuts"))
    counted = {FINDINGS[k][0].lower(): sum(v.values())
               for k, v in audit.get("findings", {}).items() if k in FINDINGS}
    lines.append(Line("look" if counted else "ok", "Marks on images", (
        ", ".join(f"{k} on {n}" for k, n in counted.items()) + "." if counted
        else "None found."), "findings"))
    odd = len({o["file"] for o in audit.get("outliers", ())})
    lines.append(Line("look" if odd else "ok", "Outliers", (
        f"{plural(odd, 'image')} far from the others in size or brightness." if odd
        else "None in size or brightness."), "outliers"))
    return lines


def shared(cases: Sequence[Case]) -> tuple[int, int]:
    """How many groups, and how many patients, have images in several parts, from the cases."""
    used = [c for c in cases if c.split != "set_aside"]
    places = ({(c.group, c.split) for c in used if c.group},
              {(c.patient, c.split) for c in used if c.patient})
    counts = [sum(n > 1 for n in Counter(owner for owner, _ in p).values()) for p in places]
    return counts[0], counts[1]


def shown(page: Mapping[str, Any]) -> list[str]:
    """Every file that the page shows, in order."""
    files = [s.file for g in page["groups"] for s in g.shots]
    files += [s.file for shots in page["examples"].values() for s in shots]
    return [*files, *(s.file for s in page["odd"])]
