"""The flow of ``run``: which stages, in which order, and what can be skipped."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from bedside import schemes
from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.progress import Progress
from bedside.core.study import Study
from bedside.flows import protocol
from bedside.flows.check import check
from bedside.flows.run_lock import locked as locked
from bedside.runfolder import artefact, layout, stored
from bedside.stages import given

# ------------------------------------------------------------------ stages


def refuse(run: Path, study: Study, only: str | None = None) -> list[str]:
    """Refuse what cannot work before an hour of decoding; returns the ids of all models.

    Raises:
        BadInput: a network's settings or weights, a model trained elsewhere, or an ``only``
            that selects nothing.
    """
    for model in study.models:
        if not artefact.finished(layout.model_dir(run, model.id), "train"):
            from bedside.stages.train.stage import check as check_training

            check_training(study, model)
    ids = [m.id for m in study.models]
    if study.float_model is not None:
        from bedside.stages.convert import check_float_model

        ids.append(check_float_model(study.float_model, ids).id)
    if study.quantized_model is not None:
        given.check(study.quantized_model, study.float_model is not None, ids)
    if not study.targets:
        raise BadInput("no target", where="targets", remedy="Give at least cpu.")
    if not select(ids, study, only):
        raise BadInput(f"no cell matches {only!r}", where="--only",
                       remedy="Give a glob over variants, as 'resnet34-*'.")
    return ids


def prepare(run: Path, study: Study, progress: Progress | None = None,
            kept: Study | None = None) -> None:
    """Read and split the data, bring in a model trained elsewhere, and write ``study.toml``.

    Args:
        run: the run folder.
        study: the configuration.
        progress: called with (stage, done, total[, detail]).
        kept: what ``study.toml`` is to hold, where this once another configuration is used.
    """
    from bedside.stages.data.stage import prepare as prepare_data

    prepare_data(run, study, progress)
    if study.float_model is not None:
        from bedside.stages.convert import import_float_model

        import_float_model(run, study.float_model, stored.task(run))
    elif study.quantized_model is not None:
        given.enter_alone(run, study.quantized_model, stored.task(run))
    # Last, so that a study that cannot work leaves no configuration behind to go on from.
    artefact.write_text(layout.study_file(run), codec.to_toml(kept or study))


def model_ids(run: Path, study: Study) -> list[str]:
    """Return the ids of the study's models, the one trained elsewhere last."""
    ids = [m.id for m in study.models]
    return ids + [s.id for s in stored.model_specs(run)
                  if s.origin == "external" and study.float_model is not None]


def pairs(ids: Sequence[str], study: Study) -> list[tuple[str, str]]:
    """Return (model, scheme) of every variant of a study.

    ``ids``: of its float models, the one trained elsewhere last, as :func:`model_ids` has them.
    """
    found = [(m, s) for m in ids for s in study.schemes]
    if study.quantized_model is not None:
        found.append((ids[-1] if study.float_model is not None
                      else given.model_id(study.quantized_model), schemes.GIVEN))
    return found


def cache(run: Path, study: Study, progress: Progress | None = None) -> None:
    """Decode and resize every image once for each preprocessing of the study."""
    from bedside.models import preprocess_of
    from bedside.stages.data.cache import build_cache

    wanted = {preprocess_of(m) for m in study.models}
    if study.float_model is not None:
        wanted |= {s.preprocess for s in stored.model_specs(run) if s.origin == "external"}
    if study.quantized_model is not None:
        own, told = given.preprocess_of(study.quantized_model), given_meaning(study)
        wanted |= {own} if own is not None else set() if told is None else {told.preprocess}
    for preprocess in sorted(wanted, key=repr):
        build_cache(run, preprocess, progress=progress)


def given_meaning(study: Study) -> given.Meaning | None:
    """Return what the float model of a given file took and gave before it was normalised.

    Raises:
        BadInput: it takes BGR, which a preprocessing cannot give.
    """
    if study.float_model is None or study.quantized_model is None:
        return None
    from bedside.stages.convert import understand_model

    told = understand_model(study.float_model).told
    if told.colour == "bgr":
        raise BadInput("its float model takes BGR, which no preprocessing here gives",
                       where=study.quantized_model.file, remedy="Quantize it in a study.")
    return given.Meaning(given.prepared(told.preprocess, told.input_range, told.mean, told.std),
                         told.classes)


def hold_contract(run: Path, study: Study, progress: Progress | None = None) -> None:
    """Hold the contract of a model trained elsewhere against labelled validation images.

    Raises:
        GateFailed: they contradict it.
    """
    if study.float_model is None:
        return
    from bedside.stages.contract import check_contract
    from bedside.stages.convert import check_float_model

    found = check_float_model(study.float_model)
    check_contract(run, found.id, found.understood.told.classes, found.understood.reference(),
                   progress)


def train(run: Path, study: Study, progress: Progress | None = None) -> None:
    """Train every network of the study."""
    for model in study.models:
        from bedside.stages.train.stage import train as train_model

        train_model(run, study, model, progress)


def convert(run: Path, study: Study, progress: Progress | None = None) -> None:
    """Convert every trained network and check it against torch."""
    from bedside.stages.convert import convert as convert_model

    for model in study.models:
        convert_model(run, model.id, progress)


def quantize(run: Path, study: Study, only: str | None = None,
             progress: Progress | None = None) -> None:
    """Calibrate where a scheme needs it, and write every variant."""
    from bedside.flows import variants

    wanted = [(m, s) for m, s in pairs(model_ids(run, study), study) if only is None or any(
        _matches(layout.variant_id(m, s), t, only) for t in study.targets)]
    for number, (model, scheme) in enumerate(wanted):
        if scheme == schemes.GIVEN and study.quantized_model is not None:
            given.enter(run, study.quantized_model, model, given_meaning(study))
        else:
            variants.make(run, model, schemes.parse(scheme), study.calibration, progress)
        if progress:
            progress(f"quantize {model}", number + 1, len(wanted))


def cells(run: Path, study: Study, only: str | None = None) -> list[tuple[str, str]]:
    """Return (variant, target) of every cell of the matrix that ``only`` selects."""
    return select(model_ids(run, study), study, only)


def select(ids: Sequence[str], study: Study, only: str | None) -> list[tuple[str, str]]:
    """Select as :func:`cells` does, of the models ``ids``, whether or not they are there yet."""
    every = [(layout.variant_id(m, s), t) for m, s in pairs(ids, study) for t in study.targets]
    return [(v, t) for v, t in every if only is None or _matches(v, t, only)]


def _matches(variant: str, target: str, only: str) -> bool:
    names = (variant, target, layout.cell_name(variant, target))
    return any(fnmatch.fnmatchcase(n, only) for n in names)


def build(run: Path, study: Study, only: str | None = None,
          progress: Progress | None = None) -> None:
    """Make what each target runs for each variant."""
    from bedside.stages.build import build as build_cell

    wanted = cells(run, study, only)
    for number, (variant, target) in enumerate(wanted):
        build_cell(run, variant, target)
        if progress:
            progress("build", number + 1, len(wanted))


def evaluate(run: Path, study: Study, only: str | None = None,
             progress: Progress | None = None) -> list[str]:
    """Measure every cell of the matrix; returns those that were measured now."""
    from bedside.stages.evaluate.stage import evaluate as evaluate_cells

    return evaluate_cells(run, cells(run, study, only), study.evaluate, progress)


def evidence(run: Path, study: Study, progress: Progress | None = None) -> None:
    """Test every variant against its float32 model on the same images."""
    from bedside.stages.evidence.stage import evidence as test_run

    test_run(run, study.evidence, progress)


def recommend(run: Path, study: Study, progress: Progress | None = None) -> None:
    """Choose a variant for every target, or none."""
    from bedside.stages.recommend.stage import recommend as choose

    choose(run, study, progress)


def analyse(run: Path, study: Study, progress: Progress | None = None) -> None:
    """Compute the numbers behind every figure."""
    from bedside.stages.analyse import analyse as analyse_run

    analyse_run(run, list(dict.fromkeys(m for m, _ in pairs(model_ids(run, study), study))),
                progress)


def card(run: Path, study: Study, progress: Progress | None = None) -> None:
    """Write the model card and evidence file of every model."""
    from bedside.stages.card import card as write_cards

    del study
    write_cards(run, progress)


def report(run: Path, study: Study, progress: Progress | None = None) -> Path:
    """Write the report and its tables."""
    from bedside.stages.report.build import build_report

    del study
    return build_report(run, progress)


def repeats(run: Path, study: Study, progress: Progress | None = None) -> None:
    """Repeat the study over seeds, splits and calibration draws, where it asks for that."""
    from bedside.flows.repeats import repeat

    repeat(run, study, progress)


STAGES = ("data", "train", "convert", "quantize", "build", "evaluate", "evidence", "recommend",
          "repeats", "analyse", "card", "report")


def through(run: Path, study: Study, last: str, only: str | None = None,
            progress: Progress | None = None, kept: Study | None = None) -> None:
    """Run the stages up to and including ``last``; finished ones are skipped.

    ``kept``: see :func:`prepare`.
    """
    wanted = STAGES[:STAGES.index(last) + 1]
    steps: dict[str, Callable[[], object]] = {
        "data": lambda: _data(run, study, only, progress, kept),
        "train": lambda: train(run, study, progress),
        "convert": lambda: convert(run, study, progress),
        "quantize": lambda: quantize(run, study, only, progress),
        "build": lambda: build(run, study, only, progress),
        "evaluate": lambda: _evaluate(run, study, only, progress, kept or study),
        "evidence": lambda: evidence(run, study, progress),
        "recommend": lambda: recommend(run, study, progress),
        "repeats": lambda: repeats(run, study, progress),
        "analyse": lambda: analyse(run, study, progress),
        "card": lambda: card(run, study, progress),
        "report": lambda: report(run, study, progress),
    }
    for stage in wanted:
        steps[stage]()


def _data(run: Path, study: Study, only: str | None, progress: Progress | None,
          kept: Study | None) -> None:
    refuse(run, study, only)
    prepare(run, study, progress, kept)
    cache(run, study, progress)
    hold_contract(run, study, progress)


def _evaluate(run: Path, study: Study, only: str | None, progress: Progress | None,
              kept: Study) -> None:
    # The protocol is of the run's own configuration, whatever is evaluated this once.
    protocol.before_opening(run, kept)
    evaluate(run, study, only, progress)
    protocol.after_evaluation(run, kept)


def run_study(run: Path, study: Study, only: str | None = None,
              progress: Progress | None = None) -> Path:
    """Run the whole way from images to the report; finished stages are skipped.

    Args:
        run: the run folder, made where it is not there.
        study: the configuration.
        only: a glob over variants, targets or cells (``resnet34-*``, ``*-int8@cpu``).
        progress: called with (stage, done, total[, detail]).

    Returns:
        The path of ``report/index.html``.
    """
    study = check(study, run)
    with locked(run):
        through(run, study, "report", only, progress)
    return layout.report_dir(run) / "index.html"


def load(run: Path) -> Study:
    """Return the configuration of an existing run.

    Raises:
        BadInput: the folder holds no run.
    """
    path = layout.study_file(run)
    if not path.is_file():
        raise BadInput("not a run folder (no study.toml)", where=run,
                       remedy="Make one with: bedside run DATASET --out RUN.")
    return check(stored.study(run), run)


def evaluation(run: Path, study: Study, targets: Sequence[str] | None, images: int | None) -> Study:
    """Return the study with other targets or fewer images, for one evaluation.

    Raises:
        BadInput: an unknown target.
    """
    if targets:
        study = check(replace(study, targets=tuple(targets)), run)
    if images is not None:
        study = replace(study, evaluate=replace(study.evaluate, images=images))
    return study
