"""Tables of results as text cells, with evidence labels and footnotes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bedside.core.text import DASH, count, megabytes, milliseconds, percent, ratio
from bedside.core.types import Estimate
from bedside.stages.report import paper, tables, wording
from bedside.stages.report.changes import BASELINE
from bedside.stages.report.results import Row, metric_names


@dataclass(frozen=True, slots=True)
class Strip:
    """A value with its interval on a common axis, in percent of the axis' width."""

    low: float
    value: float
    high: float
    reference: float | None


@dataclass(frozen=True, slots=True)
class Cell:
    """One table cell: the number, a small second line, and its qualification."""

    text: str
    detail: str = ""
    tag: str = ""
    note: int | None = None
    strip: Strip | None = None
    bar: float | None = None
    prose: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A table row. ``reason`` is set where the cell did not run; then ``cells`` is empty."""

    scheme: str
    target: str
    status: str
    cells: tuple[Cell, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of one network."""

    model: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Headings (with a small second line each) and groups of rows."""

    heads: tuple[tuple[str, str], ...]
    groups: tuple[Group, ...]
    axis: tuple[str, str] = ("", "")


@dataclass(slots=True)
class Notes:
    """Footnotes: every distinct reason once, numbered from 1 in order of first use."""

    reasons: list[str] = field(default_factory=list)

    def number(self, reason: str) -> int:
        """Return the footnote number of a reason."""
        if reason not in self.reasons:
            self.reasons.append(reason)
        return self.reasons.index(reason) + 1

    def dash(self, reason: str) -> Cell:
        """Return a dash that links to the reason."""
        return Cell(DASH, note=self.number(reason))


def _tag(evidence: str | None) -> str:
    # Only values that were not measured carry a tag.
    return "" if evidence == "measured" else evidence or "evidence not recorded"


def estimate(row: Row, name: str) -> Estimate | None:
    """Return a test metric as an Estimate, or None where it is undefined."""
    metric = row["metrics"].get(name)
    return Estimate(**metric) if metric else None


# ------------------------------------------------------------------ the whole matrix


def _axis(rows: Sequence[Row], name: str) -> tuple[float, float]:
    """Return the range of every estimate of a metric, so that all strips share one scale."""
    ends = [end for r in rows if (e := estimate(r, name)) is not None
            for end in (e.low, e.value, e.high) if end is not None]
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    return (low, high) if high > low else (low - 0.05, high + 0.05)


def _strip(row: Row, rows: Sequence[Row], name: str, axis: tuple[float, float]) -> Strip | None:
    own = estimate(row, name)
    if own is None or own.value is None or own.low is None or own.high is None:
        return None
    base = tables.baseline_row(row, rows)
    other = estimate(base, name) if base is not None and base is not row else None

    def place(value: float) -> float:
        return round(100 * (value - axis[0]) / (axis[1] - axis[0]), 2)

    reference = place(other.value) if other is not None and other.value is not None else None
    return Strip(place(own.low), place(own.value), place(own.high), reference)


def _metric_cell(row: Row, rows: Sequence[Row], name: str, axis: tuple[float, float],
                 notes: Notes, drawn: bool) -> Cell:
    own = estimate(row, name)
    if own is None or own.value is None:
        return notes.dash(f"{wording.metric_title(name)}: "
                          + row["undefined"].get(name, "was not computed"))
    return Cell(wording.metric_value(name, own.value), wording.interval(name, own),
                _tag(row["evidence"]["accuracy"]),
                strip=_strip(row, rows, name, axis) if drawn else None)


def _size_cell(row: Row, rows: Sequence[Row], largest: int, notes: Notes) -> Cell:
    if not row["size_bytes"]:
        return notes.dash("Size: not recorded")
    share = tables.size_ratio(row, rows)
    return Cell(megabytes(row["size_bytes"]),
                ratio(share) if share is not None else "",
                bar=round(100 * row["size_bytes"] / largest, 2) if largest else None)


def _latency_cell(row: Row, rows: Sequence[Row], notes: Notes) -> Cell:
    latency = row["latency_ms"]
    if latency is None:
        return notes.dash("Latency: the variant did not run" if row["status"] != "ok" else
                          f"Latency: {row['latency_note'] or 'not measured on this target'}")
    share = tables.latency_ratio(row, rows)
    details = [ratio(share)] if share is not None else []
    if latency["p95"] is not None:
        details.append(f"p95 {milliseconds(latency['p95']).removesuffix(' ms')}")
    detail = ", ".join(details)
    tags = [_tag(row["evidence"]["latency"]), "unsteady" if tables.unsteady(row) else ""]
    return Cell(milliseconds(latency["median"]), detail, " ".join(t for t in tags if t))


def changed_cell(row: Row, notes: Notes) -> Cell:
    """State how many test images change class against float32, and in which direction."""
    here = row.get("agreement")
    beside = (f"against this variant on the CPU: {here['changed']} of {here['n']}" if here else "")
    changed = row["changed"]
    if row["scheme"] == BASELINE and changed is None:
        return Cell("reference", beside)
    if changed is None:
        return notes.dash("Changed: predictions of this variant or of float32 were not stored")
    if not changed["n"]:
        return notes.dash("Changed: no test image in common with float32")
    details = [f"{changed['lost']} lost, {changed['gained']} gained"] if changed["changed"] else []
    return Cell(f"{changed['changed']} of {count(changed['n'])}",
                "; ".join([*details, *([beside] if beside else [])]))


def _other_cells(row: Row, notes: Notes) -> tuple[Cell, ...]:
    memory = row["peak_memory_bytes"]
    return (
        Cell(row["compute_dtype"], prose=True) if row["compute_dtype"]
        else notes.dash("Computed in: the target does not report it"),
        Cell(megabytes(memory)) if memory
        else notes.dash("Peak memory: not measured on this target"),
    )


def matrix(rows: Sequence[Row], notes: Notes) -> Table:
    """Tabulate every cell of the study: size, speed and metrics, or why it is missing."""
    names = metric_names(rows)
    axes = {name: _axis(rows, name) for name in names}
    largest = max((r["size_bytes"] for r in rows), default=0)
    drawn = [n for n in names if n == "accuracy" or n.endswith("auroc")]
    # The AUC comes first, because it does not depend on a threshold.
    order = sorted(names, key=lambda n: (not n.endswith("auroc"), n != "accuracy"))
    heads = [("Size", "to float32"), ("Latency", "median; to float32")]
    heads += [(wording.metric_title(n), "95% interval") for n in order]
    heads += [("Class changed", "predicted class, test"), ("Computed in", ""), ("Peak memory", "")]
    groups = []
    for model in dict.fromkeys(r["model"] for r in rows):
        lines = []
        for row in (r for r in rows if r["model"] == model):
            if row["status"] != "ok":
                lines.append(Line(row["scheme"], row["target"], row["status"], (),
                                  row["reason"] or "no reason was recorded"))
                continue
            cells = [_size_cell(row, rows, largest, notes), _latency_cell(row, rows, notes)]
            cells += [_metric_cell(row, rows, n, axes[n], notes, n in drawn) for n in order]
            cells += [changed_cell(row, notes), *_other_cells(row, notes)]
            lines.append(Line(row["scheme"], row["target"], "ok", tuple(cells)))
        groups.append(Group(model, tuple(lines)))
    return Table(tuple(heads), tuple(groups))


# ------------------------------------------------------------------ Table 2


def _paper_name(network: str) -> str:
    return network.lower().replace("-", "").replace("_", "")


def _paper_cells(network: str, scheme: str, options: bool, notes: Notes) -> tuple[Cell, ...]:
    printed = paper.TABLE_2.get(_paper_name(network), {})
    found, base = printed.get(scheme), printed.get(BASELINE)
    if found is None or base is None or options:
        absent = notes.dash("Paper: Table 2 has no such network or scheme")
        return (absent, absent)
    return (Cell(percent(found.accuracy)),
            Cell(f"{found.size_mb:.1f} MB", ratio(found.size_mb / base.size_mb)))


def table_2(rows: Sequence[Row], networks: dict[str, str], target: str, notes: Notes) -> Table:
    """Tabulate accuracy and size on one target, with the paper's Table 2 beside them.

    Args:
        rows: rows of ``results.json``.
        networks: the network's name of every model id, by which the paper's row is found.
        target: whose accuracies to print.
    """
    heads = (("Accuracy", "95% interval"), ("Size", "to FP32"),
             ("Paper: accuracy", f"of {paper.TABLE_2_IMAGES} images"),
             ("Paper: size", "to FP32"))
    groups = []
    mine = [r for r in rows if r["target"] == target]
    axis = _axis(mine, "accuracy")
    for model in dict.fromkeys(r["model"] for r in mine):
        lines = []
        for row in (r for r in mine if r["model"] == model):
            scheme, _, options = row["scheme"].partition("+")
            beside = _paper_cells(networks.get(model, model), scheme, bool(options), notes)
            if row["status"] == "ok":
                accuracy = _metric_cell(row, rows, "accuracy", axis, notes, False)
            else:
                accuracy = notes.dash(f"Accuracy: {row['status']}, {row['reason']}")
            name = wording.PAPER_SCHEMES.get(row["scheme"]) or str(row["scheme"])
            lines.append(Line(name, row["scheme"], row["status"],
                              (accuracy, _size_cell(row, rows, 0, notes), *beside)))
        groups.append(Group(model, tuple(lines)))
    return Table(heads, tuple(groups))


# ------------------------------------------------------------------ Table 1


@dataclass(frozen=True, slots=True)
class DemographicLine:
    """A row of Table 1 as text."""

    label: str
    images: str
    age: Cell
    size: Cell
    paper_age: Cell
    paper_size: Cell


def table_1(rows: Sequence[tables.Demographics], notes: Notes) -> tuple[DemographicLine, ...]:
    """Tabulate demographics, this study's and the paper's Table 1."""
    return tuple(DemographicLine(
        r.label, count(r.images), spread_cell(r.age, "Age", notes),
        spread_cell(r.size_mm, "Tumor size", notes), _printed(r.paper, "age", notes),
        _printed(r.paper, "size", notes),
    ) for r in rows)


def spread_cell(values: tables.Spread, what: str, notes: Notes) -> Cell:
    """Format mean ± SD with n, or a dash with the reason; ``what`` is the column's name."""
    if values.mean is None:
        return notes.dash(f"{what}: the data have no such column, or none for this class")
    if values.sd is None:
        return Cell(f"{values.mean:.1f}", "n = 1, no SD")
    return Cell(f"{values.mean:.1f} ± {values.sd:.1f}", f"n = {count(values.n)}")


def _printed(row: Mapping[str, paper.MeanSd] | None, name: str, notes: Notes) -> Cell:
    if row is None:
        return notes.dash("Paper: Table 1 has no such class")
    return Cell(f"{row[name].mean:.1f} ± {row[name].sd:.1f}")
