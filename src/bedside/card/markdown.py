"""The model card for people, as Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bedside.card.collect import Answer, Card, Filled

# Too long for a page; the evidence file holds all of it.
_ELSEWHERE = ("Where the model looked",)


def render(card: Card) -> str:
    """Render the whole card; open questions are flagged, and counted at the top."""
    awaited = card.awaited()
    lines = [f"# Model card: {escape(card.model)}", "", f"**{card.notice}**", "",
             f"Variants: {escape(', '.join(card.variants) or 'none')}. Targets: "
             f"{escape(', '.join(card.targets) or 'none')}. Every value here stands in "
             "`evidence.json` beside this card, with its source.", ""]
    if awaited:
        lines += [f"**{len(awaited)} answers await a person** (`card.toml` in the run folder): "
                  + ", ".join(f"`{a.key}`" for a in awaited) + ".", ""]
    standing = card.value("metrics", "Protocol")
    if isinstance(standing, Mapping):
        told = f"{escape(str(standing.get('standing')))}."
        lines += [f"**{told}**" if standing.get("exploratory") else told, ""]
    lines += ["## About", "", *_answers(card.about)]
    for number, filled in enumerate(card.fields, 1):
        lines += _field(number, filled)
    return "\n".join(lines).rstrip() + "\n"


def _field(number: int, filled: Filled) -> list[str]:
    lines = [f"## {number}. {filled.field[:1].upper()}{filled.field[1:]}", "",
             f"<sub>{escape(filled.standards)}</sub>", ""]
    lines += _answers(filled.answers)
    for value in filled.values:
        if value.value is None:
            lines.append(f"- {value.label}: — ({escape(value.reason or '')})")
        elif value.label in _ELSEWHERE:
            lines.append(f"- {value.label}: {_maps(value.value)}")
        else:
            lines += bullets(value.label, value.value)
    return [*lines, ""] if filled.values else lines


def _answers(answers: Sequence[Answer]) -> list[str]:
    lines = []
    for answer in answers:
        if answer.text is None:
            lines += [f"> ⚠ **{answer.question}** *{answer.awaits}* (`{answer.key}`)", ""]
        else:
            lines += [f"**{answer.question}** {paragraph(answer.text)}", ""]
    return lines


def _maps(found: Mapping[str, Any]) -> str:
    told = "; ".join(f"{escape(k)}: {v['of']}" for k, v in found.items())
    return f"{told} (class activation maps in `evidence.json`)"


def bullets(label: str, value: Any, depth: int = 0) -> list[str]:
    """Render a value as a list item, with nested items where it does not fit one line."""
    head = f"{'  ' * depth}- {escape(label)}"
    rows = grid(value) if depth == 0 else None
    if rows is not None:
        return [f"{head}:", "", *rows, ""]
    if isinstance(value, Mapping) and not is_estimate(value) and any(
            isinstance(v, Mapping | list) for v in value.values()):
        return [f"{head}:", *(line for k, v in value.items()
                              for line in bullets(str(k), v, depth + 1))]
    if isinstance(value, list) and any(isinstance(v, Mapping) for v in value):
        if all(isinstance(v, Mapping) and set(v) == {"id", "margin"} for v in value):
            return [f"{head} ({len(value)}): {', '.join(str(v['id']) for v in value)}"]
        return [f"{head}:", *(line for i, v in enumerate(value, 1)
                              for line in bullets(str(i), v, depth + 1))]
    return [f"{head}: {short(value)}"]


def grid(value: Any) -> list[str] | None:
    """Render rows with the same keys as a table; None where a list is clearer."""
    if isinstance(value, Mapping) and not is_estimate(value):
        named: list[tuple[str, Any]] = [(str(k), v) for k, v in value.items()]
    elif isinstance(value, list):
        named = [("", v) for v in value]
    else:
        return None
    if not named or not all(isinstance(v, Mapping) and not is_estimate(v) for _, v in named):
        return None
    rows = [(name, _flat(row)) for name, row in named]
    columns = list(dict.fromkeys(k for _, row in rows for k in row))
    if len(columns) < 2 or any(isinstance(v, list) and any(isinstance(x, Mapping) for x in v)
                               for _, row in rows for v in row.values()):
        return None
    first = [""] if any(name for name, _ in rows) else []
    lines = [_row([*first, *map(escape, columns)]), _row(["---"] * (len(columns) + len(first)))]
    return lines + [_row([*([escape(name)] if first else []),
                          *(short(row[c]) if c in row else "" for c in columns)])
                    for name, row in rows]


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten the numbers of a row's mapping into columns."""
    found: dict[str, Any] = {}
    for key, value in row.items():
        inner = isinstance(value, Mapping) and not is_estimate(value)
        found |= dict(value) if inner and all(map(is_estimate, value.values())) else {key: value}
    return found


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def is_estimate(value: Any) -> bool:
    """Return whether a mapping is a number with its interval, or an undefined one with a reason."""
    return isinstance(value, Mapping) and {"value", "reason"} <= set(value)


def short(value: Any) -> str:
    """Render a value on one line."""
    if is_estimate(value):
        if value.get("value") is None:
            return f"— ({escape(str(value.get('reason')))})"
        interval = ("" if value.get("low") is None else
                    f" [{value['low']:.3f}, {value['high']:.3f}]")
        return f"{value['value']:.3f}{interval}, n = {value.get('n')}"
    if isinstance(value, Mapping):
        return ", ".join(f"{escape(str(k))} {short(v)}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(short(v) for v in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "—" if value is None else escape(str(value))


def paragraph(text: str) -> str:
    """Render a human answer: paragraphs are kept, and nothing becomes markup."""
    return "\n\n".join(escape(p) for p in re.split(r"\n\s*\n", text))


def escape(text: str) -> str:
    """Escape text for Markdown and HTML, on one line."""
    plain = " ".join(text.split())
    plain = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*\[\]|#])", r"\\\1", plain)
