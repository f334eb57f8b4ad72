"""``bedside audit``, ``split`` and ``leakage``: what a data set is worth before it is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bedside.cli import output
from bedside.cli import run as commands
from bedside.cli.output import Reporter
from bedside.core import codec
from bedside.core.errors import BadInput, GateFailed
from bedside.core.study import Study
from bedside.flows import audit as examine
from bedside.flows import resolve as configuration
from bedside.flows.check import check as check_study
from bedside.runfolder import layout


def audit(source: Path, out: Path, json: bool, flags: Mapping[str, Any]) -> None:
    """``bedside audit``: of a run, or of a data set into ``out``."""
    is_run = layout.study_file(source).is_file()
    given = [f"--{k.replace('_', '-')}" for k, v in flags.items() if v not in (None, False, [])]
    if is_run and given:
        raise BadInput("a run has its own configuration", where=given[0],
                       remedy="Leave it out, or audit the data set itself.")
    page = (source if is_run else out) / examine.AUDIT_DIR / "index.html"
    try:
        with Reporter() as progress:
            report = _without_notes(progress)
            folder = (examine.audit_run(source, report) if is_run else
                      examine.audit_dataset(out, _data_study(source, out, flags), report))
    except GateFailed:
        _print_page(page)
        raise
    _print_data(examine.facts(folder), json)
    _print_page(page)


def _print_page(page: Path) -> None:
    output.stderr.print(f"page: {page}", soft_wrap=True, markup=False)


def split(source: Path, out: Path, json: bool, flags: Mapping[str, Any]) -> None:
    """``bedside split``: the data stage alone."""
    with Reporter() as progress:
        examine.split(out, _data_study(source, out, flags), _without_notes(progress))
    _print_data(examine.facts(layout.data_dir(out)), json)


def _without_notes(progress: Reporter) -> Callable[..., None]:
    """Progress without the stage's remarks, which follow the table on standard output."""
    def report(stage: str, done: int, total: int, detail: str = "") -> None:
        if not detail:
            progress(stage, done, total)

    return report


def _data_study(source: Path, out: Path, flags: Mapping[str, Any]) -> Study:
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v
                              for k, v in flags.items() if v is not None}
    return configuration.resolve(None, configuration.Flags(dataset=source, **values), out)


def _print_data(facts: dict[str, Any], json: bool) -> None:
    if json:
        print(codec.to_json(facts), end="")
        return
    parts = facts["used"]
    output.table("", ["class", *parts, "all"], [
        [name, *(str(parts[p][name]) for p in parts), str(sum(parts[p][name] for p in parts))]
        for name in next(iter(parts.values()))], {1, 2, 3, 4})
    for text in (
            f"{facts['read']} listed, {facts['set_aside']} set aside; {facts['groups']} groups, "
            f"the largest of {facts['largest_group']}",
            f"groups in several parts: {facts['shared_groups']}; patients in several parts: "
            f"{facts['shared_patients']}",
            f"images that repeat another: {facts['duplicates']}; pictures under several classes: "
            f"{facts['conflicts']}",
            *facts["notes"]):
        output.stdout.print(text, soft_wrap=True, markup=False)


def leakage(run: Path, model: str | None, image_px: int | None, epochs: int | None, folds: int,
            json: bool) -> None:
    """``bedside leakage``: the same training on folds by image and by group."""
    commands.need_workbench()
    from dataclasses import replace

    from bedside.flows import leakage as comparison
    from bedside.flows import study
    from bedside.models import default_config

    config = study.load(run)
    if model is None and not config.models:
        raise BadInput("the run trains no network of its own", where=run,
                       remedy="Name one with --model.")
    chosen = config.models[0] if model is None else default_config(model)
    changes = {"image_px": image_px, "epochs": epochs}
    chosen = replace(chosen, **{k: v for k, v in changes.items() if v is not None})  # type: ignore[arg-type]
    config = check_study(replace(config, models=(chosen,)), run)
    with study.locked(run), Reporter() as progress:
        found = comparison.leakage(run, study.load(run), config.models[0], folds, progress)
    if json:
        print(codec.to_json(found), end="")
    else:
        from bedside.stages.report import leakage_view

        _print_leakage(leakage_view.context(codec.encode(found)))
    with Reporter() as progress:
        examine.audit_run(run, _without_notes(progress))
    _print_page(run / examine.AUDIT_DIR / "index.html")


def _print_leakage(shown: Mapping[str, Any]) -> None:
    output.table("", ["split", "AUC [95%]", "accuracy [95%]", "AUC of images with a twin"],
                  [[r["name"], r["auc"], r["accuracy"], r["related"]] for r in shown["rows"]],
                  {1, 2, 3})
    for text in (f"difference of AUC, by image less by group: {shown['difference']}",
                 shown["verdict"]):
        output.stdout.print(text, soft_wrap=True, markup=False)
