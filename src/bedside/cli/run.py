"""One function a command: calls the API, prints tables or JSON. Parsing is in ``cli.py``."""

from __future__ import annotations

import importlib.util
import os
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bedside.cli import output
from bedside.cli.output import Reporter
from bedside.core import codec
from bedside.core.errors import EXIT_BAD_INPUT, EXIT_BUG, EXIT_STOPPED, BadInput, MissingComponent
from bedside.core.registry import did_you_mean
from bedside.flows.check import check as check_study
from bedside.runfolder import artefact

LISTS = ("models", "schemes", "targets", "metrics")


def _print_json(value: Any) -> None:
    print(codec.to_json(value), end="")


def need_workbench() -> None:
    """Refuse what needs the workbench where it is not installed. Raises MissingComponent."""
    missing = [n for n in ("torch", "litert_torch", "litert_quantizer")
               if importlib.util.find_spec(n) is None]
    if missing:
        raise MissingComponent(f"this command needs {', '.join(missing)}, not installed here",
                               remedy="Install the workbench: pip install 'bedside[workbench]'.")


def run(config: Path | None, out: Path, only: str | None, dry_run: bool,
        flags: Mapping[str, Any]) -> None:
    """``bedside run`` and ``bedside demo``."""
    need_workbench()
    from bedside.flows import plan, study
    from bedside.flows import resolve as configuration

    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v
                              for k, v in flags.items() if v is not None}
    given = configuration.Flags(**values)
    resolved = configuration.resolve(config, given, out)
    if dry_run:
        _print_plan(plan.plan(out, resolved, only))
        return
    with Reporter() as progress:
        page = study.run_study(out, resolved, only, progress)
    results(out)
    recommended(out)
    output.stderr.print(f"report: {page}", soft_wrap=True, markup=False)
    _need_targets(resolved.targets, out)


def _print_plan(steps: list[Any]) -> None:
    rows = [[s.stage, s.subject, "finished" if s.finished else output.duration(s.seconds)]
            for s in steps]
    output.table("", ["stage", "what", "estimate"], rows, {2})
    left = sum(s.seconds for s in steps if not s.finished)
    output.stdout.print(f"about {output.duration(left)} on two cores (estimated)")


def stage(run_dir: Path, name: str, only: str | None = None) -> None:
    """One stage of an existing run; the stages before it run where they are missing."""
    need_workbench()
    from bedside.flows import study

    config = study.load(run_dir)
    with study.locked(run_dir), Reporter() as progress:
        study.through(run_dir, config, name, only, progress)
    _print_stage(run_dir, name)
    if name == "build":
        _need_targets(config.targets, run_dir)


def _print_stage(run_dir: Path, name: str) -> None:
    from bedside.runfolder import layout

    if name == "report":
        output.stderr.print(f"report: {layout.report_dir(run_dir) / 'index.html'}",
                             soft_wrap=True, markup=False)
    elif name == "quantize":
        rows = [[v.id, v.scheme, f"{v.size_bytes / 1e6:.2f}"] for v in layout.variants(run_dir)]
        output.table("", ["variant", "scheme", "MB"], rows, {2})


def evaluate(run_dir: Path, target: list[str] | None, only: str | None, images: int | None,
             json: bool) -> None:
    """``bedside evaluate``."""
    need_workbench()
    from dataclasses import replace

    from bedside.flows import study
    from bedside.runfolder import layout

    kept = config = study.load(run_dir)
    if target:
        config = check_study(replace(config, targets=tuple(target)), run_dir)
    if images is not None:
        config = replace(config, evaluate=replace(config.evaluate, images=images))
    with study.locked(run_dir), Reporter() as progress:
        # For this once: the run's own targets and number of images stay in study.toml.
        study.through(run_dir, config, "evaluate", only, progress, kept)
    wanted = {layout.cell_name(v, t) for v, t in study.cells(run_dir, config, only)}
    if json:
        rows = [m for m in layout.measurements(run_dir)
                if layout.cell_name(m.variant, m.target) in wanted]
        _print_json({"schema": 1, "rows": rows})
    else:
        results(run_dir, wanted)
    _need_targets(config.targets, run_dir)


def _need_targets(names: Sequence[str], run_dir: Path) -> None:
    """Once everything else is done, say what was asked for and is not installed here."""
    from bedside import targets

    for name in names:
        state = targets.backend(targets.load(name, run_dir)).available()
        if not state.works:
            raise MissingComponent(f"target {name!r} does not work here: {state.detail}",
                                   remedy=state.remedy)


def recommended(run_dir: Path) -> None:
    """One line a target: what to use, and what the test images say of it."""
    from bedside.runfolder import layout

    for r in layout.recommendations(run_dir).recommendations:
        said = " ".join(r.why) if r.chosen is None or r.test is None else f"{r.test.text}."
        output.stdout.print(f"{r.target}: {f'use {r.chosen};' if r.chosen else 'none:'} {said}",
                             soft_wrap=True, markup=False)


def results(run_dir: Path, wanted: set[str] | None = None) -> None:
    """Print the measurements of a run as a table."""
    from bedside.runfolder import layout

    rows = []
    for m in layout.measurements(run_dir):
        if wanted is not None and layout.cell_name(m.variant, m.target) not in wanted:
            continue
        split = "test" if "test" in m.metrics else next(iter(m.metrics), "")
        found = m.metrics.get(split, {})
        rows.append([m.variant, m.target, m.status if m.status == "ok" else
                     f"{m.status}: {m.reason}", f"{m.size_bytes / 1e6:.2f}",
                     _estimate(found.get("accuracy")),
                     _estimate(found.get("auroc") or found.get("macro_auroc")),
                     f"{m.latency_ms.median:.1f}" if m.latency_ms else "—",
                     m.compute_dtype or "—"])
    output.table("", ["variant", "target", "status", "MB", "accuracy [95%]", "AUC [95%]",
                       "ms", "computes in"], rows, {3, 6})


def _estimate(value: Any) -> str:
    if value is None or value.value is None:
        return "—"
    return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}] n={value.n}"


def deid(src: Path, out: Path, private: Path, key: Path | None, json: bool,
         flags: Mapping[str, Any]) -> None:
    """``bedside deid``."""
    from bedside.cli.deid import warn_of_folders
    from bedside.core.types import DeidConfig
    from bedside.deid import deidentify

    chosen = {"modified-dates": flags["keep_dates"], "retain-device": flags["keep_device"]}
    usual = DeidConfig()
    config = DeidConfig(
        tuple(name for name, wanted in chosen.items() if wanted),
        "unchecked" if flags["accept_unchecked_pixels"] else
        "clean" if flags["deid_pixels"] else "check",
        (*usual.keep_names, *(flags["keep_name"] or ())), tuple(flags["keep_column"] or ()))
    with Reporter() as progress:
        ledger = deidentify(src, out, private, config, progress, key_file=key)
    warn_of_folders(private)
    if json:
        _print_json({"schema": 1, "passed": ledger.passed, "quarantined": ledger.reasons})
        return
    rows = [["passed", str(ledger.passed)], *([r, str(n)] for r, n in ledger.reasons.items())]
    output.table("", ["files", "number"], rows, {1})


def list_known(what: str, json: bool) -> None:
    """``bedside list``."""
    if what not in LISTS:
        raise BadInput(f"unknown list {what!r}", remedy=did_you_mean(what, LISTS))
    rows = {"models": _models, "schemes": _schemes, "targets": _targets,
            "metrics": _metrics}[what]()
    if json:
        _print_json({what: rows})
        return
    columns = [c for c in rows[0] if c != "options"]
    said = {True: "yes", False: "no"}
    output.table("", columns, [[said[r[c]] if isinstance(r[c], bool) else str(r[c])
                                 for c in columns] for r in rows])
    if what == "schemes":
        output.table("Options, as int8+percentile or int8+equalized+io8",
                      ["option", "of", "what it does"], _options())


def _models() -> list[dict[str, Any]]:
    from bedside.models import DESCRIPTIONS

    return [{"name": n, "description": d} for n, d in DESCRIPTIONS.items()]


def _schemes() -> list[dict[str, Any]]:
    from bedside import schemes

    known = (schemes.parse(n).scheme for n in schemes.SCHEMES)
    return [{"name": s.name, "weights": s.weights, "activations": s.activations,
             "calibration": s.needs_calibration, "description": s.summary,
             "options": ", ".join(f"+{k}: {v}" for k, v in s.options.items())} for s in known]


def _options() -> list[list[str]]:
    """Each option once, with the schemes that take it."""
    from bedside import schemes

    takers: dict[tuple[str, str], list[str]] = {}
    for name in schemes.SCHEMES:
        for option, does in schemes.parse(name).scheme.options.items():
            takers.setdefault((option, does), []).append(name)
    return [[f"+{option}", ", ".join(names), does] for (option, does), names in takers.items()]


def _targets() -> list[dict[str, Any]]:
    from bedside import targets

    return [{"id": t.id, "backend": t.backend, "threads": t.threads,
             "description": t.description} for t in targets.profiles().values()]


def _metrics() -> list[dict[str, Any]]:
    from bedside import metrics
    from bedside.core import registry

    return [{"name": n, "description": (registry.resolve(lazy).__doc__ or "").split("\n")[0]}
            for n, lazy in metrics.METRICS.items()]


def show(folder: Path, json: bool) -> None:
    """``bedside show``: the finished stages below a folder, their files and hashes."""
    if not folder.is_dir():
        raise BadInput("no such folder", where=folder, remedy="Check the path.")
    places = sorted(p.parent for p in folder.rglob(artefact.MANIFEST)
                    if not any(q.startswith(".") for q in p.relative_to(folder).parts))
    if not places:
        raise BadInput("no finished stage in this folder", where=folder,
                       remedy="Give a run folder or a stage folder in it.")
    rows: list[dict[str, Any]] = []
    for place in places:
        for name in artefact.read_manifest(place).stages:
            entry = artefact.check(place, name)
            rows.append({"folder": str(place.relative_to(folder)), "stage": name,
                         "files": len(entry.files),
                         "bytes": sum(f.size_bytes for f in entry.files.values()),
                         "hashes": "match"})
    if json:
        _print_json({"stages": rows})
        return
    output.table("", ["folder", "stage", "files", "MB", "hashes"],
                  [[r["folder"], r["stage"], str(r["files"]), f"{r['bytes'] / 1e6:.2f}",
                    r["hashes"]] for r in rows], {2, 3})


def stopped() -> int:
    """Ctrl-C: say how to go on, and the exit code."""
    output.fault("stopped; run the same command again to continue where it was.")
    return EXIT_STOPPED


def unexpected(error: Exception) -> int:
    """Exit code for what is not an expected failure: usage, the output disk, or a bug."""
    import typer

    if isinstance(error, typer.Exit):
        return int(error.exit_code)
    if isinstance(error, typer.Abort):
        return stopped()
    if hasattr(error, "format_message"):
        # Typer's usage errors, whichever click they come from (its own or the package).
        if type(error).__name__ != "NoArgsIsHelpError":
            output.fault(f"{error.format_message().rstrip('.')}. See bedside --help.")
        return EXIT_BAD_INPUT
    if isinstance(error, OSError):
        known = artefact.disk_fault(error, error.filename or "output")
        if known is not None:
            output.fault(known.message)
            return known.exit_code
    if os.environ.get("BEDSIDE_DEBUG"):
        traceback.print_exception(error)
    output.fault(f"this is a bug in bedside ({type(error).__name__}). "
                  "Set BEDSIDE_DEBUG=1 and run again to see where, and please report it.")
    return EXIT_BUG
