"""The numbers of index.html, its first screen and its tables of answers, beside recomputed ones.

For :mod:`recompute`; nothing here imports the product.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from html import unescape

from reported import SHARES, Check, Numbers, excused, unit

NUMBER = r"[+−±]?\d[\d,]*(?:\.\d+)?"
TITLES = {"Sensitivity": "sensitivity", "Specificity": "specificity", "AUC": "auroc",
          "Accuracy": "accuracy", "Missed, times float32": "miss_ratio"}


def _text(html: str) -> str:
    parts = re.split(r"</(?:dd|b|small|span)>", html)
    return " | ".join(filter(None, (" ".join(unescape(re.sub(r"<[^>]*>", " ", p)).split())
                                    for p in parts)))


def recommended(html: str) -> Iterator[tuple[str, str, dict[str, str], str]]:
    """Yield target, variant, tiles (text by title) and sentences of every recommendation."""
    for answer in re.findall(r'<div class="answer">(.*?)(?:<details|\Z)', html, re.S):
        head = re.search(r'On <span class="name">(.*?)</span> use <span class="name">(.*?)</span>',
                         answer)
        if head is None:
            continue
        tiles, _, rest = answer.partition("</dl>")
        found = {unescape(title): _text(body) for title, body in re.findall(
            r"<div><dt>(.*?)</dt>(.*?)</div>", tiles, re.S)}
        yield unescape(head[1]), unescape(head[2]), found, _text(rest.partition("</ul>")[0])


def rejected(html: str) -> Iterator[tuple[str, str, str]]:
    """Yield target, variant and the reason of every variant that was rejected."""
    for answer in html.split('<div class="answer">')[1:]:
        head = re.search(r'<h3>On <span class="name">(.*?)</span>', answer)
        listed = answer.partition("</details>")[0]
        reasons = re.search(r'<dl class="facts">(.*?)</dl>', listed, re.S)
        if head is not None and reasons is not None:
            for variant, text in re.findall(r'<dt class="name">(.*?)</dt><dd>(.*?)</dd>',
                                            reasons[1], re.S):
                yield unescape(head[1]), unescape(variant), unescape(text)


def answers(html: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield variant, target and entries (text by heading) of both tables of answers (test)."""
    tables = re.findall(r'<table class="brief">(.*?)</table>', html, re.S)
    tables += re.findall(r'aria-label="Paired comparisons on the test images">(.*?)</table>', html,
                         re.S)
    for table in tables:
        model = ""
        for line in re.findall(r"<tr.*?</tr>", table, re.S):
            group = re.search(r'scope="rowgroup"><span>(.*?)</span>', line)
            head = re.search(r'<th scope="row">(.*?)<small>(.*?)</small>', line)
            if group is not None:
                model = unescape(group[1]) + "-"
            elif head is not None:
                yield model + unescape(head[1]), unescape(head[2]), {
                    unescape(k): _text(v) for k, v in re.findall(
                        r'<td data-label="(.*?)">(.*?)</td>', line, re.S)}


def _found(where: str, title: str, text: str, pattern: str,
           names: Sequence[tuple[str, float]], found: Numbers, needed: bool = True
           ) -> Iterator[Check]:
    """Compare the groups of a pattern with the numbers named, each times its scale."""
    match = re.search(pattern.replace("NUM", f"({NUMBER})"), text)
    if match is None:
        if needed:
            yield Check(where, title, f"{text[:40]!r} is not as expected", math.inf)
        return
    for (name, scale), report in zip(names, match.groups(), strict=True):
        if report is not None and (name in found or not excused(name, found)):
            value = found.get(name)
            yield Check(where, f"{title}, {name}", report,
                        None if value is None else scale * value)


def tiles(where: str, told: Mapping[str, str], found: Numbers, group: str | None
          ) -> Iterator[Check]:
    """Compare every tile of the first screen."""
    where = f"first screen, {where}"
    compared = "change n" in found
    for title, text in told.items():
        name = TITLES.get(title.removesuffix(", test"), "")
        if name:
            scale, percent, points = (1.0, "", "") if name == "auroc" else (100.0, "%", " points")
            against = rf"NUM{points} against float32 \| " if compared else ""
            names = [(name, scale), *([(f"against {name}", scale)] if compared else []),
                     (f"{name} low", scale), (f"{name} high", scale), (f"{name} n", 1.0)]
            pattern = rf"^NUM{percent} \| {against}95% interval NUM–NUM, n = NUM"
            yield from _found(where, title, text, pattern, names, found)
        elif title.startswith("Missed by it"):
            yield from _found(
                where, title, text, r"NUM, NUM gained \| of NUM positive images?; NUM new false "
                r"alarms?, NUM cleared \| sensitivity NUM points \[NUM, NUM\]",
                [*((f"change {k}", 1.0) for k in ("missed", "found", "sensitivity n", "alarms",
                                                  "cleared")),
                 *((f"change sensitivity{k}", 100.0) for k in ("", " low", " high"))], found)
        elif title.startswith("Worst group"):
            yield from _worst(where, title, text, found, group)
        elif title == "Size":
            yield from _found(where, title, text, r"^NUM MB", [("size", 1e-6)], found)
            yield from _less(where, title, text, "size", found)
        elif title.startswith("Latency"):
            yield from _found(where, title, text, r"^NUM ms", [("latency", 1.0)], found)
            yield from _found(where, title, text, r"median of NUM,", [("latency n", 1.0)], found)
            yield from _less(where, title, text, "latency", found)


def _less(where: str, title: str, text: str, name: str, found: Numbers) -> Iterator[Check]:
    yield from _found(where, title, text, "NUM% (?:smaller|faster) than", [(f"less {name}", 100.0)],
                      found, needed=False)
    yield from _found(where, title, text, "NUM% (?:larger|slower) than", [(f"less {name}", -100.0)],
                      found, needed=False)


def _worst(where: str, title: str, text: str, found: Numbers, group: str | None
           ) -> Iterator[Check]:
    if group is None or "worst n" not in found:
        expected = text.startswith(("none", "unknown"))
        yield Check(where, title, "none" if expected else text[:40], None)
        return
    pattern = (rf"^NUM of NUM \| .*?{re.escape(group)}: NUM points \[NUM, NUM\]")
    yield from _found(where, f"{title} ({group})", text, pattern, [
        ("worst lost", 1.0), ("worst n", 1.0), ("worst", 100.0), ("worst low", 100.0),
        ("worst high", 100.0)], found)
    yield from _found(where, title, text, "finds a loss of NUM% of them",
                      [("worst detectable", 100.0)], found, needed=False)


def sentences(where: str, told: str, found: Numbers, rejected: bool = False) -> Iterator[Check]:
    """Compare the numbers in the reasons for a recommendation, or against a variant."""
    where = f"reasons, {where}"
    if rejected:
        yield from _found(where, "validation", told, "validation AUC of NUM", [("val auroc", 1.0)],
                          found, needed=False)
        return
    for title, pattern, names in (
            ("validation", r"Validation AUC NUM \(95% interval NUM to NUM\), n = NUM",
             [("val auroc", 1.0), ("val auroc low", 1.0), ("val auroc high", 1.0),
              ("val auroc n", 1.0)]),
            ("latency", "Measured latency NUM ms", [("latency", 1.0)]),
            ("file", "File NUM MB", [("size", 1e-6)])):
        yield from _found(where, title, told, pattern, names, found)
    for pattern, name, order in (
            (r"NUM below the best \((\S+?)\)", "below", (0, 1)),
            (r"(?:next is|indistinguishable from) (\S+) (?:with |\()NUM ms", "latency of", (1, 0))):
        match = re.search(pattern.replace("NUM", f"({NUMBER})"), told)
        if match is not None:
            report, other = (match.groups()[k] for k in order)
            yield Check(where, f"{name} {other}", report, found.get(f"{name} {other}"))
    yield from _found(where, "images", told, "on NUM test images", [("change n", 1.0)], found,
                      needed=False)


def entries(where: str, told: Mapping[str, str], found: Numbers) -> Iterator[Check]:
    """Compare a line of a table of answers."""
    where = f"answers, {where}"
    for title, text in told.items():
        name = TITLES.get(title, "")
        if title == "Decisions changed":
            yield from _found(where, title, text, "^NUM of NUM", [("changed", 1.0), ("n", 1.0)],
                              found)
        elif title == "Kappa":
            yield from _found(where, title, text, r"^NUM \| NUM–NUM", [
                ("kappa", 1.0), ("kappa low", 1.0), ("kappa high", 1.0)], found,
                needed="kappa" in found)
        elif name and not text.startswith("—"):
            yield from _entry(where, title, name, text, found)


def _entry(where: str, title: str, name: str, text: str, found: Numbers) -> Iterator[Check]:
    scale, percent = unit(name)[0], "%" if name in SHARES else ""
    if name == "miss_ratio":
        yield from _found(where, title, text, r"^× NUM \| \[NUM, (?:NUM|no limit)\]", [
            (f"{name}{k}", 1.0) for k in ("", " low", " high")], found)
    else:
        yield from _found(where, title, text, r"^NUM(?: points)? \| \[NUM, NUM\]", [
            (f"{name}{k}", scale) for k in ("", " low", " high")], found)
        yield from _found(where, title, text, r"decides: \[NUM, NUM\]", [
            (f"{name}{k}", scale) for k in (" floor", " ceiling")], found, needed=False)
    yield from _found(where, title, text, f"NUM{percent} → NUM{percent}", [
        (f"{name} old", scale), (f"{name} new", scale)], found, needed=False)
    yield from _found(where, title, text, "NUM lost, NUM gained", [
        (f"{name} lost", 1.0), (f"{name} gained", 1.0)], found, needed=False)
    yield from _found(where, title, text, "n = NUM", [(f"{name} n", 1.0)], found, needed=False)
    yield from _found(where, title, text, r"p (?:= )?(< ?0\.001|\d\.\d+) \(", [(f"{name} p", 1.0)],
                      found, needed=False)
