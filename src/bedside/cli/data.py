"""``audit``, ``split`` and ``leakage``: a data set examined before anything is trained on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bedside.cli import options, output
from bedside.cli.output import Reporter
from bedside.cli.run import need_workbench
from bedside.core.errors import BadInput, GateFailed

if TYPE_CHECKING:
    from bedside.core.progress import Progress
    from bedside.core.study import Study


def audit(
    source: Annotated[Path, typer.Argument(
        help="A run folder, or a data set as for 'run'.", metavar="DIR")],
    out: Annotated[Path, typer.Option(
        help="Where a data set's audit goes; a run's goes into the run.")] = Path("runs/audit"),
    exclude: options.Exclude = None,
    merge: options.Merge = None,
    positive: options.Positive = None,
    split_file: options.SplitFile = None,
    class_names: options.ClassNames = None,
    columns: options.Columns = None,
    layout: options.Layout = None,
    near_duplicates: options.NearDuplicates = None,
    regroup: options.Regroup = False,
    skip_bad: options.SkipBad = False,
    decisions: options.Decisions = None,
    seed: options.Seed = None,
    json: options.Json = False,
) -> None:
    """Look for near-duplicates, leakage, marks, outliers and shortcuts before training."""
    from bedside.flows import audit as auditing
    from bedside.runfolder import layout as paths

    flags = options.given(
        exclude=exclude, merge=merge, positive=positive, split_file=split_file,
        class_names=class_names, columns=columns, layout=layout, near_duplicates=near_duplicates,
        regroup=regroup, skip_bad=skip_bad, decisions=decisions, seed=seed)
    is_run = paths.study_file(source).is_file()
    changed = [f"--{k.replace('_', '-')}" for k, v in flags.items() if v is not False]
    if is_run and changed:
        raise BadInput("a run has its own configuration", where=changed[0],
                       remedy="Leave it out, or audit the data set itself.")
    page = (source if is_run else out) / auditing.AUDIT_DIR / "index.html"
    try:
        with Reporter() as progress:
            report = _without_notes(progress)
            folder = (auditing.audit_run(source, report) if is_run else
                      auditing.audit_dataset(out, _study(source, out, flags), report))
    except GateFailed:
        output.note(f"page: {page}")
        raise
    _print_data(auditing.facts(folder), json)
    output.note(f"page: {page}")


def split(
    source: options.Dataset,
    out: Annotated[Path, typer.Option(help="The run folder.")] = Path("runs/study"),
    exclude: options.Exclude = None,
    merge: options.Merge = None,
    positive: options.Positive = None,
    split_file: options.SplitFile = None,
    class_names: options.ClassNames = None,
    columns: options.Columns = None,
    layout: options.Layout = None,
    near_duplicates: options.NearDuplicates = None,
    regroup: options.Regroup = False,
    skip_bad: options.SkipBad = False,
    decisions: options.Decisions = None,
    seed: options.Seed = None,
    json: options.Json = False,
) -> None:
    """Read, group and split a data set, and stop; 'run --out' goes on from there."""
    from bedside.flows import audit as auditing
    from bedside.runfolder import layout as paths

    flags = options.given(
        exclude=exclude, merge=merge, positive=positive, split_file=split_file,
        class_names=class_names, columns=columns, layout=layout, near_duplicates=near_duplicates,
        regroup=regroup, skip_bad=skip_bad, decisions=decisions, seed=seed)
    with Reporter() as progress:
        auditing.split(out, _study(source, out, flags), _without_notes(progress))
    _print_data(auditing.facts(paths.data_dir(out)), json)


def leakage(
    run: options.Run,
    model: Annotated[str | None, typer.Option(
        help="A network (default: the run's first, with its settings).")] = None,
    image_px: Annotated[int | None, typer.Option(
        min=32, max=1024, help="Image side, pixels.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of each training.")] = None,
    folds: Annotated[int, typer.Option(min=3, max=20, help="Trainings for each split.")] = 5,
    json: options.Json = False,
) -> None:
    """Train on folds by image and on folds by group, and put both scores side by side."""
    need_workbench()
    from bedside.core import codec
    from bedside.flows import audit as auditing
    from bedside.flows import leakage as comparison
    from bedside.flows import resolve, study
    from bedside.stages.report import leakage_view

    config = study.load(run)
    network = resolve.one_model(run, config, model,
                                options.given(image_px=image_px, epochs=epochs)).models[0]
    with study.locked(run), Reporter() as progress:
        result = comparison.leakage(run, config, network, folds, progress)
    if json:
        output.print_json(result)
    else:
        shown = leakage_view.context(codec.encode(result))
        output.table("", ["split", "AUC [95%]", "accuracy [95%]",
                          "AUC of images with a near-duplicate"],
                     [[r["name"], r["auc"], r["accuracy"], r["related"]] for r in shown["rows"]],
                     {1, 2, 3})
        output.say(f"difference of AUC, by image less by group: {shown['difference']}")
        output.say(shown["verdict"])
    with Reporter() as progress:
        auditing.audit_run(run, _without_notes(progress))
    output.note(f"page: {run / auditing.AUDIT_DIR / 'index.html'}")


def _study(source: Path, out: Path, flags: dict[str, Any]) -> Study:
    from bedside.flows import resolve

    return resolve.resolve(None, resolve.Flags(dataset=source, **flags), out)


def _without_notes(progress: Reporter) -> Progress:
    """Return progress without the stage's remarks, which follow the table on standard output."""
    def report(stage: str, done: int, total: int, detail: str = "", /) -> None:
        if not detail:
            progress(stage, done, total)

    return report


def _print_data(facts: dict[str, Any], json: bool) -> None:
    if json:
        output.print_json(facts)
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
            f"images that repeat another: {facts['duplicates']}; images under several classes: "
            f"{facts['conflicts']}",
            *facts["notes"]):
        output.say(text)
