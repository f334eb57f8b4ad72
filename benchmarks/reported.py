"""The numbers that a report prints, read from results.json and index.html, beside recomputed ones.

For :mod:`recompute`; nothing here imports the product.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from typing import Any

Numbers = Mapping[str, float | None]
NUMBER = r"[+−±]?\d[\d,]*(?:\.\d+)?"
# Rounding can go either way where the next digit is exactly 5, and roots end at about 1e-8.
TIE = 1e-7
SHARES = ("accuracy", "sensitivity", "specificity", "miss_ratio")
TITLES = {"Sensitivity": "sensitivity", "Specificity": "specificity", "AUC": "auroc",
          "Accuracy": "accuracy", "Missed, times float32": "miss_ratio"}


@dataclass(frozen=True)
class Check:
    """One number: as the report prints it, and recomputed (scaled to the report's unit)."""

    where: str
    number: str
    report: str
    value: float | None

    @property
    def recomputed(self) -> str:
        """Return the recomputed number with as many digits as the report prints."""
        if self.value is None or "<" in self.report:
            return "none" if self.value is None else f"{self.value:.2g}"
        return f"{self.value:.{self._digits}f}"

    @property
    def _digits(self) -> int:
        return len(self.report.partition(".")[2])

    @property
    def agree(self) -> bool:
        """Return whether the report's digits are those of the recomputed number."""
        if self.value is None:
            return self.report == "none"
        if "<" in self.report:
            return self.value < float(self.report.removeprefix("<"))
        return plain(self.report) in {plain(f"{self.value + tie:.{self._digits}f}")
                                      for tie in (-TIE, 0.0, TIE)}


def plain(text: str) -> str:
    """Return a number without separators, plus signs or a minus before zero."""
    text = text.replace("−", "-").replace(",", "").lstrip("+±")
    return text.lstrip("-") if not text.strip("-0.") else text


# ------------------------------------------------------------------ results.json


def _check(where: str, number: str, told: float | None, found: Numbers, name: str, scale: float,
           digits: int) -> Iterator[Check]:
    if name not in found:
        return
    value = found[name]
    yield Check(where, number, "none" if told is None else f"{scale * told:.{digits}f}",
                None if value is None else scale * value)


def _unit(metric: str) -> tuple[float, int]:
    return (100.0, 1) if metric in SHARES else (1.0, 3)


def metrics(where: str, told: Mapping[str, Any], found: Numbers) -> Iterator[Check]:
    """Compare a cell's metrics with their intervals."""
    for name, estimate in told.items():
        if estimate is None:
            continue
        for key in ("value", "low", "high"):
            yield from _check(where, f"{name} {key}", estimate[key], found,
                              name if key == "value" else f"{name} {key}", *_unit(name))
        yield from _check(where, f"{name} n", estimate["n"], found, f"{name} n", 1, 0)


def resources(where: str, row: Mapping[str, Any], found: Numbers) -> Iterator[Check]:
    """Compare a cell's size in bytes and its latency."""
    yield from _check(where, "bytes", row["size_bytes"], found, "size", 1, 0)
    if row["latency_ms"] is not None:
        yield from _check(where, "median ms", row["latency_ms"]["median"], found, "latency", 1, 2)


def comparison(c: Mapping[str, Any], found: Numbers) -> Iterator[Check]:
    """Compare everything that a paired comparison prints."""
    where = f"{c['variant']}@{c['target']} against float32, {c['split']}"
    yield from _check(where, "images", c["n"], found, "n", 1, 0)
    for name, test in c["tests"].items():
        d, (scale, digits) = test["difference"], _unit(name)
        bounds = {"": d["value"], " low": d["low"], " high": d["high"]}
        if name == "miss_ratio":  # stored as −ln of the ratio
            bounds = {"": _ratio(d["value"]), " low": _ratio(d["high"]) or 0.0,
                      " high": _ratio(d["low"])}
        else:
            bounds |= {" floor": test["excluded"], " ceiling": test["ceiling"]}
        for key, value in bounds.items():
            yield from _check(where, f"{name} change{key}", value, found, f"{name}{key}",
                              *((1.0, 2) if name == "miss_ratio" else (scale, digits)))
        for key in ("old", "new"):
            yield from _check(where, f"{name} {key}", test[key], found, f"{name} {key}", scale,
                              digits)
        for key in ("gained", "lost"):
            yield from _check(where, f"{name} {key}", test[key], found, f"{name} {key}", 1, 0)
        yield from _check(where, f"{name} n", d["n"], found, f"{name} n", 1, 0)
        yield from _check(where, f"{name} p", test["p_value"], found, f"{name} p", 1, 3)
        yield from _check(where, f"{name} p of non-inferiority", test["p_noninferior"], found,
                          f"{name} p_noninferior", 1, 3)
    if c["kappa"] is not None:
        yield from metrics(where, {"kappa": c["kappa"] if c["kappa"]["value"] is not None
                                   else None}, found)
    for key in ("missed", "found", "alarms", "cleared"):
        yield from _check(where, key, c["flips"][key], found, key, 1, 0)


def shown(c: Mapping[str, Any], p: float) -> Iterator[Check]:
    """Compare the adjusted p-value of *shown*, and whether it is."""
    where = f"{c['variant']}@{c['target']} against float32, {c['split']}"
    yield from _check(where, "p of the answer", c["p_shown"], {"p": p}, "p", 1, 3)
    yield Check(where, "shown (1) or not (0)", f"{c['answer'] == 'shown':d}", float(p <= 0.025))


def _ratio(minus_log: float | None) -> float | None:
    return None if minus_log is None else math.exp(-minus_log)


def brier(p: Mapping[str, Any], value: float) -> Iterator[Check]:
    """Compare the Brier score of the probabilities that ship."""
    told = (p["calibrated"] or p["scores"]).get("brier")
    if told is not None and told["value"] is not None:
        yield from _check(f"{p['variant']}@{p['target']} {p['split']}", "Brier score",
                          told["value"], {"brier": value}, "brier", 1, 3)


# ------------------------------------------------------------------ index.html


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
        if name in found and report is not None:
            value = found[name]
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
            scale, unit, points = (1.0, "", "") if name == "auroc" else (100.0, "%", " points")
            against = rf"NUM{points} against float32 \| " if compared else ""
            names = [(name, scale), *([(f"against {name}", scale)] if compared else []),
                     (f"{name} low", scale), (f"{name} high", scale), (f"{name} n", 1.0)]
            yield from _found(where, title, text, rf"^NUM{unit} \| {against}95% interval NUM–NUM, "
                              "n = NUM", names, found)
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


def sentences(where: str, told: str, found: Numbers) -> Iterator[Check]:
    """Compare the numbers in the reasons for a recommendation."""
    where = f"reasons, {where}"
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
    scale, unit = _unit(name)[0], "%" if name in SHARES else ""
    if name == "miss_ratio":
        yield from _found(where, title, text, r"^× NUM \| \[NUM, (?:NUM|no limit)\]", [
            (f"{name}{k}", 1.0) for k in ("", " low", " high")], found)
    else:
        yield from _found(where, title, text, r"^NUM(?: points)? \| \[NUM, NUM\]", [
            (f"{name}{k}", scale) for k in ("", " low", " high")], found)
        yield from _found(where, title, text, r"decides: \[NUM, NUM\]", [
            (f"{name}{k}", scale) for k in (" floor", " ceiling")], found, needed=False)
    yield from _found(where, title, text, f"NUM{unit} → NUM{unit}", [
        (f"{name} old", scale), (f"{name} new", scale)], found, needed=False)
    yield from _found(where, title, text, "NUM lost, NUM gained", [
        (f"{name} lost", 1.0), (f"{name} gained", 1.0)], found, needed=False)
    yield from _found(where, title, text, "n = NUM", [(f"{name} n", 1.0)], found, needed=False)
    yield from _found(where, title, text, r"p (?:= )?(< ?0\.001|\d\.\d+) \(", [(f"{name} p", 1.0)],
                      found, needed=False)
