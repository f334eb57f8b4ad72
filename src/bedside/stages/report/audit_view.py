"""Contents of the audit page, from ``audit.json`` and ``cases.csv``."""

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
    "text": ("Text", "lines of letters in the image"),
    "arrow": ("Arrows", "solid pointed marks"),
    "doppler": ("Doppler colour", "regions in flow colours"),
    "panels": ("Several panels", "images side by side or stacked"),
}
KINDS = {
    "same file": "the same file", "same pixels": "the same pixels in another file",
    "near": "the same view", "crop": "one is a crop of the other",
    "mirrored": "one is mirrored",
}


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """One image on the page; ``src`` is a data URI, or empty where there is none."""

    file: str
    label: str
    part: str
    src: str = ""


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """A group of near-duplicates, the least certain link first."""

    thumbnails: tuple[Thumbnail, ...]
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


def groups(audit: Mapping[str, Any], cases: Sequence[Case]) -> list[DuplicateGroup]:
    """List the groups of near-duplicates: conflicts first, then by their weakest link."""
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
        # The least certain pair comes first, so that its images stand side by side.
        pair = (weakest["first"], weakest["second"])
        ordered = [*pair, *sorted(set(names) - set(pair))]
        found.append(DuplicateGroup(
            tuple(thumbnail(n, by_file) for n in ordered[:MOST_IN_GROUP]),
            max(0, len(ordered) - MOST_IN_GROUP),
            "; ".join(kinds),
            float(weakest["score"]), *pair, len(labels) > 1))
    return sorted(found, key=lambda g: (not g.conflict, g.score, g.first))


def thumbnail(file: str, by_file: Mapping[str, Case]) -> Thumbnail:
    """Return an image by name; a file that is no case has neither class nor part."""
    case = by_file.get(file)
    return Thumbnail(file, case.label, PARTS[case.split]) if case else Thumbnail(file, "", "")


def examples(cases: Sequence[Case]) -> dict[str, list[Thumbnail]]:
    """Select up to eight images of each finding, spread over the classes."""
    by_file = {c.file: c for c in cases}
    found: dict[str, list[Thumbnail]] = {}
    for flag in FINDINGS:
        here = [c for c in cases if flag in c.flags and c.split != "set_aside"]
        by_label: dict[str, list[Case]] = {}
        for case in here:
            by_label.setdefault(case.label, []).append(case)
        turns: list[Case] = []
        while len(turns) < MOST_EXAMPLES and any(by_label.values()):
            turns.extend(rest.pop(0) for rest in by_label.values() if rest)
        if turns:
            found[flag] = [thumbnail(c.file, by_file) for c in turns[:MOST_EXAMPLES]]
    return found


def summary(audit: Mapping[str, Any], cases: Sequence[Case]) -> list[Line]:
    """Return the page's first table: every check and its result."""
    separated = len(audit.get("twins", ()))
    now = shared(cases)
    lines = []
    if any(now):
        lines.append(Line("fail", "Leakage between parts", f"{plural(now[0], 'group')} "
                          f"and {plural(now[1], 'patient')} lie in several parts of the "
                          "given split, so test images have near-duplicates in training. Run again "
                          "with --regroup.", "split"))
    else:
        regrouped = (f" The given split separated {plural(separated, 'group')}; each was moved "
                     "whole." if separated else "")
        lines.append(Line("ok", "Leakage between parts", "No group of near-duplicates and no "
                          f"patient lies in two parts.{regrouped}", "split"))
    duplicates = len(audit.get("duplicates", ()))
    lines.append(Line("ok" if not duplicates else "look", "Near-duplicates",
                      f"{plural(duplicates, 'near-duplicate')}; each stays in one part with the "
                      "image it duplicates." if duplicates else "None.", "groups"))
    conflicts = audit.get("conflicts", ())
    files = sum(len(f) for c in conflicts for f in c["labels"].values())
    lines.append(Line("look" if conflicts else "ok", "Labels", (
        f"{plural(len(conflicts), 'group')} of near-duplicates with conflicting labels; "
        f"{plural(files, 'image')} set aside." if conflicts
        else "No conflicting labels."), "groups"))
    warned = [s for s in audit.get("shortcuts", ()) if s["warning"]]
    # The separate families are more specific than their union.
    warned = [s for s in warned if s["name"] != "both together"] or warned
    lines.append(Line("look" if warned else "ok", "Shortcuts", (
        "Possible shortcut: the class is predicted from " + ", ".join(dict.fromkeys(
            s["name"] for s in warned)) + " alone." if warned else
        "Size and marks alone do not predict the class."), "shortcuts"))
    counted = {FINDINGS[k][0].lower(): sum(v.values())
               for k, v in audit.get("findings", {}).items() if k in FINDINGS}
    lines.append(Line("look" if counted else "ok", "Marks on images", (
        ", ".join(f"{k} on {n}" for k, n in counted.items()) + "." if counted
        else "None found."), "findings"))
    odd = len({o["file"] for o in audit.get("outliers", ())})
    lines.append(Line("look" if odd else "ok", "Outliers", (
        f"{plural(odd, 'image')} with unusual size or brightness." if odd
        else "None in size or brightness."), "outliers"))
    return lines


def shared(cases: Sequence[Case]) -> tuple[int, int]:
    """Count the groups, and the patients, with images in several parts."""
    used = [c for c in cases if c.split != "set_aside"]
    places = ({(c.group, c.split) for c in used if c.group},
              {(c.patient, c.split) for c in used if c.patient})
    counts = [sum(n > 1 for n in Counter(owner for owner, _ in p).values()) for p in places]
    return counts[0], counts[1]


def shown(page: Mapping[str, Any]) -> list[str]:
    """List every file that the page shows, in order."""
    files = [s.file for g in page["groups"] for s in g.thumbnails]
    files += [s.file for thumbnails in page["examples"].values() for s in thumbnails]
    return [*files, *(s.file for s in page["odd"])]
