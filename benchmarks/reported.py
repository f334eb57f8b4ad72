"""The numbers of results.json beside recomputed ones, to the last digit that a report prints.

For :mod:`recompute`; nothing here imports the product.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Numbers = Mapping[str, float | None]
# Rounding can go either way where the next digit is exactly 5, and roots end at about 1e-8.
TIE = 1e-7
SHARES = ("accuracy", "sensitivity", "specificity", "miss_ratio")


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


def excused(name: str, found: Numbers) -> bool:
    """Return whether a number needs no other: it is of patients, or a latency without samples."""
    return "clustered" in found or "latency" in name


def _check(where: str, number: str, told: float | None, found: Numbers, name: str, scale: float,
           digits: int) -> Iterator[Check]:
    if name not in found and (told is None or excused(name, found)):
        return
    value = found.get(name)
    yield Check(where, number, "none" if told is None else f"{scale * told:.{digits}f}",
                None if value is None else scale * value)


def unit(metric: str) -> tuple[float, int]:
    return (100.0, 1) if metric in SHARES else (1.0, 3)


def metrics(where: str, told: Mapping[str, Any], found: Numbers) -> Iterator[Check]:
    """Compare a cell's metrics with their intervals."""
    for name, estimate in told.items():
        if estimate is None:
            continue
        for key in ("value", "low", "high"):
            yield from _check(where, f"{name} {key}", estimate[key], found,
                              name if key == "value" else f"{name} {key}", *unit(name))
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
        d, (scale, digits) = test["difference"], unit(name)
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
