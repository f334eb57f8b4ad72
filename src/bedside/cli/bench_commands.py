"""``bedside bench``: calls the API and prints rows or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bedside import targets
from bedside.cli import output
from bedside.cli.output import Reporter
from bedside.core import codec
from bedside.core.build import Measurement
from bedside.core.errors import MissingComponent


def bench(file: Path, names: Sequence[str], run: Path | None, rounds: int, json: bool) -> None:
    """``bedside bench``.

    Raises:
        BadInput: no such file or target, or a model that is not one image to one row of logits.
        MissingComponent: a target does not work here (after the others are printed).
    """
    from bedside.cli.targets import check_run
    from bedside.flows import bench as stage

    check_run(run)
    with Reporter() as progress:
        rows = stage.bench(file, names, replace(stage.ROUNDS, rounds=rounds), progress, run)
    if json:
        print(codec.to_json({"schema": 1, "file": file.name, "rows": rows}), end="")
    else:
        output.table("", ["target", "status", "ms", "p95", "how", "computes in", "delegated"],
                      [_row(m) for m in rows], {2, 3})
        for m in rows:
            said = m.latency_note if m.status == "ok" else m.reason
            if said:
                output.stdout.print(f"{m.target}: {said}", markup=False, soft_wrap=True)
    for name in names:
        state = targets.backend(targets.load(name, run)).available()
        if not state.works:
            raise MissingComponent(f"target {name!r} does not work here: {state.detail}",
                                   remedy=state.remedy)


def _row(m: Measurement) -> list[str]:
    latency: Any = m.latency_ms
    share = f"{m.delegated_fraction:.0%}" if m.delegated_fraction is not None else "—"
    return [m.target, m.status,
            f"{latency.median:.2f}" if latency else "—",
            f"{latency.p95:.2f}" if latency and latency.p95 is not None else "—",
            m.evidence.get("latency", "—") if latency else "—", m.compute_dtype or "—", share]
