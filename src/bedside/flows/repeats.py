"""Repeat a study over training seeds, splits and calibration draws, each on its own.

A unit is a run folder of its own below ``RUN/repeats``. Units do not depend on each other; a
finished one is never run again. They begin after the study's test set was opened and its choice
was made, and nothing they find changes either: images that were tested in the study train in some
units.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from bedside import schemes
from bedside.core import codec
from bedside.core.errors import BadInput, GateFailed
from bedside.core.progress import Progress
from bedside.core.repeats import Repeats, Unit, UnitResult
from bedside.core.study import EvaluateConfig, Study
from bedside.core.types import Case
from bedside.flows import repeats_summary, study
from bedside.runfolder import artefact, layout, protocol, stored
from bedside.runfolder.borrow import borrow
from bedside.stages.data import derive

STAGE = "repeats"
UNIT_STAGE = "repeat"
VERSION = 1
MOST = 100
# What a finished unit leaves: its split, its predictions, its answers. The rest is large.
_TEMPORARY = ("models", "variants", "builds", "cache", "calibration")


def units(config: Study) -> tuple[Unit, ...]:
    """Return the units of a study: training seeds, then splits, then calibration draws.

    A study without a network of its own has no training to repeat, one without a calibrated
    scheme no calibration.
    """
    count, folds = config.repeats.repeats, config.repeats.folds
    found: list[Unit] = []
    if config.models:
        found += [Unit(f"seed-{r}", "seed", r, _seed(config.seed, r))
                  for r in range(1, count + 1)]
        for r in range(1, count + 1):
            seed = _seed(config.seed, r)
            found += ([Unit(f"split-{r}-fold-{f}", "split", r, seed, f, folds)
                       for f in range(1, folds + 1)] if folds
                      else [Unit(f"split-{r}", "split", r, seed)])
    if any(schemes.parse(s).scheme.needs_calibration for s in config.schemes):
        found += [Unit(f"calibration-{r}", "calibration", r, _seed(config.calibration.seed, r))
                  for r in range(1, count + 1)]
    return tuple(found)


def _seed(base: int, repeat: int) -> int:
    return (base + repeat) % 2**31


def notes(config: Study) -> tuple[str, ...]:
    """Return what the units leave out, and why."""
    found = []
    if config.float_model is not None:
        found.append("The model trained elsewhere cannot be trained again: only its calibration "
                     "was repeated.")
    if config.quantized_model is not None:
        found.append("The file that was quantized elsewhere is as it is: it was not repeated.")
    left = [s for s in config.schemes if s not in _schemes(config)]
    if left:
        found.append(f"{', '.join(left)}: not repeated, as a search belongs to one study.")
    if _targets(config) != config.targets:
        found.append("Repeated on the target cpu alone.")
    return tuple(found)


def _schemes(config: Study) -> tuple[str, ...]:
    return tuple(s for s in config.schemes if "searched" not in schemes.parse(s).options)


def _targets(config: Study) -> tuple[str, ...]:
    """Return the CPU where the study has it: simulators take hours, and no unit is timed."""
    return ("cpu",) if "cpu" in config.targets else config.targets


def configured(config: Study, unit: Unit) -> Study:
    """Return the configuration of one unit: the study's, with one thing drawn again."""
    evaluate = EvaluateConfig(splits=("val", "test"), rounds=0, warmup=0,
                              images=config.evaluate.images, timeout_s=config.evaluate.timeout_s)
    made = replace(config, schemes=_schemes(config), targets=_targets(config), evaluate=evaluate,
                   repeats=type(config.repeats)(), quantized_model=None)
    if unit.draw == "seed":
        made = replace(made, seed=unit.seed)
    if unit.draw == "calibration":
        return replace(made, calibration=replace(config.calibration, seed=unit.seed))
    return replace(made, float_model=None)


def repeat(run: Path, config: Study, progress: Progress | None = None) -> Repeats | None:
    """Run the units of a study that are not finished, and publish ``RUN/repeats/repeats.json``.

    A unit that cannot be run (a class too rare for so many folds) is listed with the reason.

    Args:
        run: its stages up to ``recommend`` have finished; the caller holds it.
        config: the study.
        progress: called with (stage, done, total[, detail]).

    Returns:
        What was found; None where the study asks for no repeats.
    """
    wanted = units(config)
    if not wanted:
        return None
    found = []
    for number, unit in enumerate(wanted, 1):
        label = f"repeat {number}/{len(wanted)}, {unit.name}"
        found.append(_unit(run, config, unit, _labelled(progress, label)))
        if progress:
            progress(STAGE, number, len(wanted))
    folder = layout.repeats_dir(run)
    evidence = artefact.record(layout.evidence_dir(run, layout.ALL_MODELS), "evidence").key
    key = artefact.stage_key(STAGE, VERSION, config.repeats, found, evidence, notes(config))
    if not artefact.intact(folder, STAGE, key):
        result = repeats_summary.summarise(run, config.repeats, found, notes(config))
        with artefact.writing(folder, STAGE, key) as scratch:
            artefact.write_text(scratch / layout.REPEATS, codec.to_json(result))
    return stored.repeats(run)


def _labelled(progress: Progress | None, label: str) -> Progress | None:
    if progress is None:
        return None

    def tick(stage: str, done: int, total: int, detail: str = "") -> None:
        progress(f"{label}: {stage}", done, total, detail)

    return tick


# ------------------------------------------------------------------ one unit


def unit_key(run: Path, config: Study, unit: Unit) -> str:
    """Return the key of a unit: its configuration, the study's cases and, where it is shared,
    the float model."""
    made = configured(config, unit)
    shared = {} if unit.draw != "calibration" else {
        s.id: artefact.record(layout.model_dir(run, s.id), "convert").files[
            layout.FLOAT_MODEL].sha256 for s in stored.model_specs(run)}
    weights = [artefact.sha256_file(Path(m.weights)) for m in made.models
               if Path(m.weights).is_file()]
    return artefact.stage_key(
        UNIT_STAGE, VERSION, unit, made.models, made.train, made.calibration, made.schemes,
        made.targets, made.evaluate, made.evidence, made.seed, weights, shared,
        artefact.record(layout.data_dir(run), "data").files[layout.CASES].sha256)


def _unit(run: Path, config: Study, unit: Unit, progress: Progress | None) -> UnitResult:
    """Run one unit, or read what it found."""
    folder, key = layout.unit_dir(run, unit.name), unit_key(run, config, unit)
    if not (artefact.intact(folder, UNIT_STAGE, key) and _result(folder).status == "ok"):
        if artefact.recorded(folder, UNIT_STAGE):
            shutil.rmtree(folder)  # of other settings, or failed for what may be mended by now
        try:
            result = _run_unit(run, config, unit, folder, progress)
        except (BadInput, GateFailed) as error:
            result = UnitResult(unit, "failed", f"{error.fault}.")
        with artefact.writing(folder, UNIT_STAGE, key) as scratch:
            artefact.write_text(scratch / layout.UNIT, codec.to_json(result))
    for name in _TEMPORARY:
        shutil.rmtree(folder / name, ignore_errors=True)
    return _result(folder)


def _result(folder: Path) -> UnitResult:
    found: UnitResult = codec.read_json(
        UnitResult, artefact.checked(folder, UNIT_STAGE, layout.UNIT))
    return found


def _run_unit(run: Path, config: Study, unit: Unit, folder: Path, progress: Progress | None
              ) -> UnitResult:
    made = configured(config, unit)
    cases = stored.cases(run)
    parts = None if unit.draw != "split" else derive.redraw(
        cases, unit.seed, unit.folds, (unit.fold or 1) - 1)
    derive.derive(run, folder, parts)
    for place in _shared(run, unit):
        target = folder / place.relative_to(run)
        if not artefact.read_manifest(target).stages:
            borrow(place, target)
    artefact.write_text(layout.study_file(folder), codec.to_toml(made))
    study.cache(folder, made, progress)
    if unit.draw != "calibration":
        study.train(folder, made, progress)
        study.convert(folder, made, progress)
    study.quantize(folder, made, None, progress)
    study.build(folder, made, None, progress)
    own = stored.cases(folder)
    # Images of the study's test part are read here, whatever part of the unit they are in.
    protocol.opened(run, STAGE, unit.name, sum(c.split == "test" for c in cases), {})
    study.evaluate(folder, made, None, progress)
    study.evidence(folder, made, progress)
    return repeats_summary.result(folder, unit, _sizes(own))


def _shared(run: Path, unit: Unit) -> Iterator[Path]:
    """Yield the folders of the study that a unit would only make again: pixels, networks."""
    yield from sorted(p for p in (run / "cache").glob("[!.]*") if p.is_dir())
    if unit.draw == "calibration":
        for spec in stored.model_specs(run):
            if "+" not in spec.id:
                yield layout.model_dir(run, spec.id)


def _sizes(cases: Sequence[Case]) -> tuple[int, int, int]:
    counts = [sum(c.split == p for c in cases) for p in ("train", "val", "test")]
    return counts[0], counts[1], counts[2]


def check(config: Study) -> None:
    """Refuse numbers of repeats or folds that make no sense. Raises BadInput."""
    count, folds = config.repeats.repeats, config.repeats.folds
    if not 0 <= count <= MOST:
        raise BadInput(f"{count} repeats", where="repeats.repeats",
                       remedy=f"Give 0 (none) to {MOST}.")
    if folds == 1 or not 0 <= folds <= MOST:
        raise BadInput(f"{folds} folds", where="repeats.folds",
                       remedy=f"Give 2 to {MOST}, or 0 for single splits.")
    if folds and not count:
        raise BadInput(f"{folds} folds of 0 repeats", where="repeats",
                       remedy="Give --repeats as well; 1 is one cross-validation.")
    if count and not units(config):
        raise BadInput("nothing to repeat: no network is trained and no scheme is calibrated",
                       where="repeats.repeats", remedy="Leave --repeats out.")
