"""The orchestrator behind ``run``: which stages, in which order, what can be skipped."""

from __future__ import annotations

import contextlib
import fnmatch
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bedside import artefact, calibrate, codec, rundir, schemes, targets
from bedside.errors import BadInput
from bedside.models import MODELS
from bedside.recommend import check_budget
from bedside.registry import PLAIN_NAME, did_you_mean, is_plain_name
from bedside.types import ModelConfig, Study

Progress = Callable[..., None]


# ------------------------------------------------------------------ configuration


def check(study: Study, run: Path | None = None) -> Study:
    """Fill in ids and refuse names that no table holds, before any work is done.

    Raises:
        BadInput: unknown model, scheme, option or target, or a setting that cannot work.
    """
    models = tuple(replace(m, id=m.id or m.name) for m in study.models)
    _check_models(models)
    if not 0 <= study.seed < 2**31:
        raise BadInput(f"a seed of {study.seed}", where="seed",
                       remedy="Give a whole number from 0 to 2147483647.")
    scheme_ids = [schemes.variant_id("", s)[1:] for s in study.schemes]
    for scheme in scheme_ids:
        schemes.load(scheme)
    _unique(scheme_ids, "schemes")
    for target in study.targets:
        targets.load(target, run)
    _unique(list(study.targets), "targets")
    if not scheme_ids:
        raise BadInput("no scheme", where="schemes", remedy="Give at least float32.")
    if not models and study.float_model is None:
        raise BadInput("no model", where="models", remedy="Give --model or --float-model.")
    if study.train.epochs < 1 or study.train.batch_size < 2:
        raise BadInput("epochs must be 1 or more and batch_size 2 or more", where="train",
                       remedy="Correct it.")
    if min(study.evaluate.rounds, study.evaluate.samples) < 1 or study.evaluate.warmup < 0:
        raise BadInput("rounds and samples must be 1 or more", where="evaluate",
                       remedy="Correct it.")
    if not study.evaluate.splits or "set_aside" in study.evaluate.splits:
        raise BadInput("what is evaluated is of train, val and test", where="evaluate.splits",
                       remedy='Give some of them, as ["val", "test"].')
    if (study.evaluate.images or 1) < 1 or study.evaluate.timeout_s <= 0:
        raise BadInput("images must be 1 or more and timeout_s above 0", where="evaluate",
                       remedy="Correct it.")
    calibrate.check(study.calibration)
    _check_evidence(study)
    check_budget(study.budget, _known_targets(study, run))
    return replace(study, models=models, schemes=tuple(scheme_ids))


def _check_models(models: Sequence[ModelConfig]) -> None:
    for model in models:
        if model.name not in MODELS:
            raise BadInput(f"unknown model {model.name!r}", where="models",
                           remedy=did_you_mean(model.name, MODELS))
        if model.channels not in (1, 3):
            raise BadInput(f"{model.channels} channels", where=f"models.{model.id}",
                           remedy="Give 1 (grey) or 3 (RGB).")
        if not 32 <= model.image_px <= 1024:
            raise BadInput(f"an image size of {model.image_px}", where=f"models.{model.id}",
                           remedy="Give image_px from 32 to 1024.")
        if not is_plain_name(model.id) or model.id.lower() == rundir.ALL_MODELS:
            raise BadInput(f"a model cannot be named {model.id!r}", where="models.id",
                           remedy=f"Its id names folders: {PLAIN_NAME}; not "
                           f"{rundir.ALL_MODELS!r}.")
    # Folders of some disks do not tell capital letters apart.
    _unique([m.id.lower() for m in models], "models")


def _known_targets(study: Study, run: Path | None) -> tuple[str, ...]:
    """Targets that a budget may name: the study's, every profile, and phones of the lab."""
    own = (run / "targets").glob("*.toml") if run is not None else ()
    measured = (run / "measurements").glob("*@*") if run is not None else ()
    return (*study.targets, *targets.profiles(), *(p.stem for p in own),
            *(p.name.partition("@")[2] for p in measured))


def _check_evidence(study: Study) -> None:
    """Refuse margins that make no sense, before any work is done."""
    e = study.evidence
    for name in ("sensitivity_margin", "auc_margin"):
        value = getattr(e, name)
        if not 0 < value < 0.5:
            hint = (f" Margins are fractions: {value / 100:g} is {value:g} points."
                    if 0.5 <= value <= 50 else "")
            raise BadInput(f"a margin of {value:g}", where=f"evidence.{name}",
                           remedy=f"Give a fraction above 0 and below 0.5, as 0.02.{hint}")
    if not 0 < e.required_sensitivity <= 1:
        raise BadInput(f"a required sensitivity of {e.required_sensitivity:g}",
                       where="evidence.required_sensitivity",
                       remedy="Give a fraction above 0, up to 1.")
    if not 200 <= e.resamples <= 20000 or e.seed < 0:
        raise BadInput(f"{e.resamples} resamples with seed {e.seed}", where="evidence",
                       remedy="Give 200 to 20000 resamples and a seed of 0 or more.")
    if e.robustness_images < 0:
        raise BadInput(f"{e.robustness_images} images", where="evidence.robustness_images",
                       remedy="Give 0 (off) or more.")


def _unique(names: Sequence[str], where: str) -> None:
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise BadInput(f"{twice[0]!r} is given twice", where=where,
                       remedy="Name it once (a model trained twice needs two ids).")


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Hold the run folder for one writer.

    Raises:
        BadInput: another process holds it, or the folder cannot be made.
    """
    from filelock import FileLock, Timeout

    with artefact.disk_errors(run):
        fresh = not run.is_dir() or not any(run.iterdir())
        made = [p for p in run.absolute().parents if not p.exists()]
        try:
            run.mkdir(parents=True, exist_ok=True)
        except FileNotFoundError as error:  # as below /proc
            raise BadInput("the folder cannot be made", where=run,
                           remedy="Choose another --out.") from error
        lock = FileLock(run / ".lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise BadInput("another bedside process is writing this run", where=run,
                           remedy="Wait for it, or give another --out.") from None
    try:
        yield
    finally:
        lock.release()
        if fresh:
            _leave_nothing(run, made)
        elif not rundir.study_file(run).is_file():
            (run / ".lock").unlink(missing_ok=True)  # not a run: leave it as it was found


def _leave_nothing(run: Path, made: Sequence[Path]) -> None:
    """Remove a run folder in which no file was written, and the folders ``made`` above it."""
    with contextlib.suppress(OSError):
        if all(p.is_dir() or p == run / ".lock" for p in run.rglob("*")):
            shutil.rmtree(run)
            for folder in made:
                folder.rmdir()


# ------------------------------------------------------------------ stages


def refuse(run: Path, study: Study, only: str | None = None) -> list[str]:
    """Refuse what cannot work before an hour of decoding; returns the ids of all models.

    Raises:
        BadInput: a network's settings or weights, a model trained elsewhere, or an ``only``
            that selects nothing.
    """
    for model in study.models:
        if not artefact.finished(rundir.model_dir(run, model.id), "train"):
            from bedside.train import check as check_training

            check_training(study, model)
    ids = [m.id for m in study.models]
    if study.float_model is not None:
        from bedside.convert import check_float_model

        ids.append(check_float_model(study.float_model, ids).id)
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
    from bedside.data.stage import prepare as prepare_data

    prepare_data(run, study, progress)
    if study.float_model is not None:
        from bedside.convert import import_float_model

        import_float_model(run, study.float_model, rundir.task(run))
    # Last, so that a study that cannot work leaves no configuration behind to go on from.
    artefact.write_text(rundir.study_file(run), codec.to_toml(kept or study))


def model_ids(run: Path, study: Study) -> list[str]:
    """Ids of the study's models, the one trained elsewhere last."""
    ids = [m.id for m in study.models]
    return ids + [s.id for s in rundir.model_specs(run)
                  if s.origin == "external" and study.float_model is not None]


def cache(run: Path, study: Study, progress: Progress | None = None) -> None:
    """Decode and resize every image once for each preprocessing of the study."""
    from bedside.data.cache import build_cache
    from bedside.models import preprocess_of

    wanted = {preprocess_of(m) for m in study.models}
    if study.float_model is not None:
        wanted |= {s.preprocess for s in rundir.model_specs(run) if s.origin == "external"}
    for preprocess in sorted(wanted, key=repr):
        build_cache(run, preprocess, progress=progress)


def train(run: Path, study: Study, progress: Progress | None = None) -> None:
    """Train every network of the study."""
    for model in study.models:
        from bedside.train import train as train_model

        train_model(run, study, model, progress)


def convert(run: Path, study: Study, progress: Progress | None = None) -> None:
    """Convert every trained network and check it against torch."""
    from bedside.convert import convert as convert_model

    for model in study.models:
        convert_model(run, model.id, progress)


def quantize(run: Path, study: Study, only: str | None = None,
             progress: Progress | None = None) -> None:
    """Calibrate where a scheme needs it, and write every variant."""
    from bedside import variants

    for model in model_ids(run, study):
        for number, scheme in enumerate(study.schemes):
            if not _selected(schemes.variant_id(model, scheme), study, only):
                continue
            variants.make(run, model, scheme, study.calibration, progress)
            if progress:
                progress(f"quantize {model}", number + 1, len(study.schemes))


def cells(run: Path, study: Study, only: str | None = None) -> list[tuple[str, str]]:
    """(variant, target) of every cell of the matrix that ``only`` selects."""
    return select(model_ids(run, study), study, only)


def select(ids: Sequence[str], study: Study, only: str | None) -> list[tuple[str, str]]:
    """As :func:`cells`, of the models ``ids``, whether or not they are there yet."""
    every = [(schemes.variant_id(m, s), t) for m in ids
             for s in study.schemes for t in study.targets]
    return [(v, t) for v, t in every if only is None or _matches(v, t, only)]


def _matches(variant: str, target: str, only: str) -> bool:
    names = (variant, target, rundir.cell_name(variant, target))
    return any(fnmatch.fnmatchcase(n, only) for n in names)


def _selected(variant: str, study: Study, only: str | None) -> bool:
    return only is None or any(_matches(variant, t, only) for t in study.targets)


def build(run: Path, study: Study, only: str | None = None,
          progress: Progress | None = None) -> None:
    """Make what each target runs for each variant."""
    from bedside.build import build as build_cell

    wanted = cells(run, study, only)
    for number, (variant, target) in enumerate(wanted):
        build_cell(run, variant, target)
        if progress:
            progress("build", number + 1, len(wanted))


def evaluate(run: Path, study: Study, only: str | None = None,
             progress: Progress | None = None) -> list[str]:
    """Measure every cell of the matrix; returns those that were measured now."""
    from bedside.evaluate import evaluate as evaluate_cells

    return evaluate_cells(run, cells(run, study, only), study.evaluate, progress)


def evidence(run: Path, study: Study, progress: Progress | None = None) -> None:
    """Test every variant against its float32 model on the same images."""
    from bedside.evidence import evidence as test_run

    test_run(run, study.evidence, progress)


def recommend(run: Path, study: Study, progress: Progress | None = None) -> None:
    """Choose a variant for every target, or none."""
    from bedside.recommend_stage import recommend as choose

    choose(run, study, progress)


def analyse(run: Path, study: Study, progress: Progress | None = None) -> None:
    """Compute the numbers behind every figure."""
    from bedside.analysis import analyse as analyse_run

    analyse_run(run, model_ids(run, study), progress)


def card(run: Path, study: Study, progress: Progress | None = None) -> None:
    """Write the model card and evidence file of every model."""
    from bedside.card.stage import card as write_cards

    del study
    write_cards(run, progress)


def report(run: Path, study: Study, progress: Progress | None = None) -> Path:
    """Write the report and its tables."""
    from bedside.report.build import build_report

    del study
    return build_report(run, progress)


STAGES = ("data", "train", "convert", "quantize", "build", "evaluate", "evidence", "recommend",
          "analyse", "card", "report")


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
        "evaluate": lambda: evaluate(run, study, only, progress),
        "evidence": lambda: evidence(run, study, progress),
        "recommend": lambda: recommend(run, study, progress),
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


def run_study(run: Path, study: Study, only: str | None = None,
              progress: Progress | None = None) -> Path:
    """The whole way: from images to the report. Finished stages are skipped.

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
    return rundir.report_dir(run) / "index.html"


def load(run: Path) -> Study:
    """The configuration of an existing run.

    Raises:
        BadInput: the folder holds no run.
    """
    path = rundir.study_file(run)
    if not path.is_file():
        raise BadInput("not a run folder (no study.toml)", where=run,
                       remedy="Make one with: bedside run DATASET --out RUN.")
    return check(rundir.study(run), run)
