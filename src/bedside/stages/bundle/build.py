"""Assembly of a bundle: one build of a run with everything needed to run it on a device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bedside import __version__, targets
from bedside.card import chai, human, markdown
from bedside.card.collect import Card, collect
from bedside.card.facts import Facts
from bedside.core import codec, registry
from bedside.core.build import Build, Measurement, Variant
from bedside.core.errors import BadInput, GateFailed, MissingComponent
from bedside.core.progress import Progress
from bedside.core.study import BudgetConfig
from bedside.metrics.usefulness import below
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.bundle import canonical_zip, manifest, signing, writer
from bedside.runtime.bundle.reader import Bundle, open_bundle
from bedside.runtime.engine import Engine, Load
from bedside.stages.bundle import change_record, ood_detector, reference

Files = dict[str, tuple[manifest.Role, bytes]]
# Backends whose builds no device opens as a bundle: why, and what to use instead.
NO_BUNDLE = {
    "estimate": ("its figures are estimates of a device that is not here",
                 "Bundle for a target that was measured: bedside list targets."),
    "ethos-u": ("an Ethos-U sits in a microcontroller, where nothing opens a bundle",
                "Link RUN/builds/<cell>/compiled.tflite into the firmware, or bundle for the "
                "target cpu."),
}
IMAGES = 300
SLOW_IMAGES = 24
CARD = "model-card.md"
_FORCE = ("Train a better model, or force it with --below-floor: the bundle then says so to "
          "whoever opens it.")


@dataclass(frozen=True, slots=True)
class Cell:
    """A finished build with its variant and measurement."""

    run: Path
    variant: Variant
    build: Build
    measurement: Measurement
    backend: str
    threads: int
    files: tuple[tuple[str, bytes], ...]

    @property
    def is_tflite(self) -> bool:
        """Whether LiteRT on a CPU runs it."""
        return self.backend == "cpu"


def recommended(run: Path, target: str, below_floor: bool = False) -> str:
    """Return the variant that ``recommendation.json`` chose for a target.

    Where ``below_floor``, also one that only the study's floors took back.

    Raises:
        BadInput: there is no recommendation, or none for this target, or none was chosen.
    """
    path = run / layout.RECOMMENDATION
    if not path.is_file():
        raise BadInput("no recommendation yet", where=run,
                       remedy="Run bedside recommend, or name a variant with --variant.")
    choice = next((r for r in stored.recommendations(run).recommendations
                   if r.target == target), None)
    if choice is None:
        raise BadInput(f"no recommendation for target {target!r}", where=path,
                       remedy="Name a variant with --variant.")
    if choice.chosen is None and choice.cause == "below floor" and choice.vetoed is not None:
        if not below_floor:
            raise GateFailed(choice.why[0].rstrip("."), where=path, remedy=_FORCE)
        return choice.vetoed
    if choice.chosen is None:
        why = f" ({choice.why[0].rstrip('.')})" if choice.why else ""
        raise BadInput(f"no variant is recommended for target {target!r}{why}", where=path,
                       remedy="Name a variant with --variant.")
    return choice.chosen


def cell(run: Path, variant_id: str, target_id: str) -> Cell:
    """Read one finished cell, every file compared with its hash.

    Raises:
        BadInput: no such variant, not built, not measured, or it does not run on the target.
    """
    target = targets.load(target_id, run)
    folder = layout.variant_dir(run, variant_id)
    if not artefact.finished(folder, "quantize"):
        made_ids = ", ".join(v.id for v in stored.variants(run))
        raise BadInput(f"no variant {variant_id!r} in this run", where=run,
                       remedy=f"There are: {made_ids}." if made_ids else
                       "It has none yet: run bedside quantize first.")
    build_dir = layout.build_dir(run, variant_id, target_id)
    artefact.check(build_dir, "build")
    measured = layout.measurement_dir(run, variant_id, target_id)
    artefact.check(measured, "evaluate")
    if artefact.recorded(measured, "predict"):
        artefact.check(measured, "predict")
    made = codec.read_json(Build, build_dir / layout.BUILD)
    measurement = codec.read_json(Measurement, measured / layout.MEASUREMENT)
    variant = codec.read_json(Variant, artefact.checked(folder, "quantize", layout.VARIANT))
    if measurement.status != "ok" or not made.files:
        raise BadInput(f"{variant_id} on {target_id} is {measurement.status}: "
                       f"{measurement.reason or made.reason}", where=run,
                       remedy="Choose another variant or target.")
    if (measurement.variant_sha256 not in (None, variant.sha256)
            or measurement.build_key not in (None, artefact.record(build_dir, "build").key)):
        raise BadInput(f"{variant_id} was made again since it was measured", where=run,
                       remedy="Run bedside evaluate first.")
    first = made.main or next(iter(made.files))
    names = [first, *(n for n in made.files if n != first)]
    # A board that was measured through ssh runs the very file, and opens the bundle as its own CPU.
    backend = "cpu" if target.backend == "ssh" else target.backend
    return Cell(run, variant, made, measurement, backend, target.threads,
                tuple((n, (build_dir / n).read_bytes()) for n in names))


def too_poor(cell: Cell) -> tuple[str, ...]:
    """Return why the study's floors refuse a cell, in words; none where they do not."""
    pair = stored.usefulness(cell.run).get(
        layout.cell_name(cell.variant.id, cell.measurement.target), (None, None))
    budget = (stored.study(cell.run).budget if layout.study_file(cell.run).is_file()
              else BudgetConfig())
    return below(*pair, budget)


def operating_point(cell: Cell) -> manifest.OperatingPoint:
    """Return the operating point that the stage ``evidence`` locked, or the default.

    Raises:
        BadInput: the point was found on predictions that have changed since, or its file differs
            from what was published: 0.5 must not silently stand in for it.
    """
    positive = cell.variant.task.positive
    folder = layout.evidence_dir(cell.run, cell.variant.model)
    default = manifest.OperatingPoint(threshold=0.5 if positive is not None else None)
    if not artefact.recorded(folder, "evidence"):
        return default
    points = stored.operating_points(cell.run, cell.variant.model)
    if not _current(cell.run, points.predictions):
        raise BadInput("the threshold is older than the predictions",
                       where=folder / layout.OPERATING_POINT,
                       remedy="Run: bedside recommend RUN.")
    point = points.locked or points.cells.get(
        layout.cell_name(cell.variant.id, cell.measurement.target))
    if point is None:
        return default
    temperature = point.temperature
    threshold = point.threshold_calibrated if temperature else point.threshold
    if positive is not None and threshold is None:
        return default
    rule = (f"{point.rule}, chosen on {point.n} validation images"
            + ("" if temperature else "; probabilities not calibrated"))
    own = points.cells.get(layout.cell_name(cell.variant.id, cell.measurement.target))
    return manifest.OperatingPoint(threshold if positive is not None else None,
                                   point.temperature or 1.0, True, rule,
                                   None if own is None else own.abstention)


def _current(run: Path, chosen_on: Mapping[str, str]) -> bool:
    """Return whether every prediction file behind a threshold is unchanged."""
    now = {layout.cell_name(m.variant, m.target): stored.predictions_sha256(run, m)
           for m in stored.measurements(run) if stored.usable(m)}
    return bool(chosen_on) and all(now.get(n) == sha256 for n, sha256 in chosen_on.items())


def make(run: Path, target: str, variant: str | None, *, key: Path | None = None,
         against: Bundle | None = None, against_run: Path | None = None,
         licence: Path | None = None, below_floor: bool = False,
         progress: Progress | None = None) -> tuple[bytes, Bundle]:
    """Make a bundle and open it again with every check.

    Args:
        run: a run whose cell has been evaluated.
        target: the target's id.
        variant: a variant's id; the recommended one by default.
        key: a private key that signs it.
        against: the bundle before this one.
        against_run: the run that one came from, for the paired test.
        licence: a text file with the licence of the weights.
        below_floor: pack a model that the study's floors refuse; the bundle says so everywhere.
        progress: called with (what, done, total).

    Raises:
        BadInput: the run does not hold what a bundle needs.
        GateFailed: test images show the model, or its reference, too poor for use.
        MissingComponent: the target's backend does not work here.
    """
    backend = targets.load(target, run).backend
    if backend in NO_BUNDLE:
        raise BadInput(f"no bundle for target {target!r}: {NO_BUNDLE[backend][0]}",
                       where="--target", remedy=NO_BUNDLE[backend][1])
    chosen = cell(run, variant or recommended(run, target, below_floor), target)
    poor = too_poor(chosen)
    if poor and not below_floor:
        raise GateFailed(f"not good enough for use: {poor[0]}", where=layout.cell_name(
            chosen.variant.id, target), remedy=_FORCE)
    _need(chosen, target)
    point = operating_point(chosen)
    spec, task = chosen.variant.preprocess, chosen.variant.task
    names = _file_names([n for n, _ in chosen.files])
    files: Files = {n: ("model", d) for n, (_, d) in zip(names, chosen.files, strict=True)}
    with Engine() as engine:
        cam = engine.open(Load(tuple((n, d) for n, (_, d) in files.items()), spec,
                               len(task.classes), chosen.backend, chosen.threads))
        file = layout.build_dir(run, chosen.variant.id, target) / chosen.files[0][0]
        vectors, images, pixels = reference.make(engine, spec, file if chosen.is_tflite else None)
        known = ood_detector.learn(run, engine, spec, len(task.classes), cam,
                               IMAGES if chosen.is_tflite else SLOW_IMAGES, progress)
    files["reference.json"] = ("reference", codec.to_json(vectors).encode())
    files |= {n: ("reference-image", d) for n, d in images.items()}
    files |= {n: ("reference-pixels", d) for n, d in pixels.items()}
    if known is not None:
        files["familiarity.json"] = ("familiarity", codec.to_json(known).encode())
    head = manifest.Manifest(
        manifest.SCHEMA, manifest.KIND, layout.cell_name(chosen.variant.id, target), __version__,
        manifest.NOTICE, _model(chosen, target, names[0], cam), task, spec, point, {}, poor)
    files["licence.txt"] = ("licence", _licence(licence))
    changed = (change_record.record(run, head, chosen.build.files[chosen.files[0][0]], against,
                             against_run)
               if against is not None else manifest.Change(reason="the first bundle"))
    files["change.json"] = ("change", codec.to_json(changed).encode())
    card = _card(chosen, known, changed, key)
    files["evidence.json"] = ("evidence", _evidence(chosen, point, card).encode())
    files[CARD] = ("model-card", markdown.render(card).encode())
    data = writer.pack(head, files, key)
    own = frozenset({signing.public_of(key)}) if key is not None else frozenset()
    return data, open_bundle(data, own, allow_unsigned=key is None, where="the new bundle")


def _need(chosen: Cell, target: str) -> None:
    state = registry.lookup(targets.BACKENDS, chosen.backend, "backend").available()
    if not state.works:
        raise MissingComponent(f"target {target!r} does not work here: {state.detail}",
                               remedy=state.remedy)


def _file_names(names: list[str]) -> list[str]:
    """Return ``model/<name>`` in a bundle's spelling. Raises BadInput where that cannot be."""
    found = [f"model/{Path(n).name.lower()}" for n in names]
    if not all(map(canonical_zip.fits, found)) or len(set(found)) < len(found):
        raise BadInput("the build's file names are not allowed in a bundle", where=names[0],
                       remedy="Please report it.")
    return found


def _model(chosen: Cell, target: str, file: str, cam: bool) -> manifest.BundleModel:
    variant = chosen.variant
    return manifest.BundleModel(
        variant.id, variant.model, variant.scheme_id, target,
        chosen.backend, chosen.build.format, file, chosen.threads, cam,
        chosen.build.compute_dtype, dict(chosen.measurement.evidence))


def _evidence(chosen: Cell, point: manifest.OperatingPoint, card: Card) -> str:
    """Return this build's measurement, the run's statistics if any, and the card.

    The card's XML lies here too: the format has one file for a model card.
    """
    # Of the machine, the card names the processor; file names of the run stay on the workbench.
    measured = replace(chosen.measurement, machine={}, predictions=None)
    facts: dict[str, Any] = {"schema": 1, "measurement": measured, "operating_point": point}
    folder = layout.evidence_dir(chosen.run, chosen.variant.model)
    for name in (layout.COMPARISONS, layout.STATISTICS):
        if artefact.recorded(folder, "evidence"):
            facts[name.removesuffix(".json")] = artefact.read_document(
                artefact.checked(folder, "evidence", name))
    return codec.to_json({**facts, "card": card, "model_card_xml": chai.render(card)})


def _licence(path: Path | None) -> bytes:
    if path is not None:
        return codec.read_text(path).encode()
    return (b"No licence was given for these weights: ask who made this bundle before you use\n"
            b"or pass them on. bedside itself and this format are under Apache-2.0.\n")


def _card(chosen: Cell, known: manifest.Familiarity | None, changed: manifest.Change,
          key: Path | None) -> Card:
    """Return the run's card restricted to this build, with the facts of the bundle."""
    extra: dict[str, Any] = {
        "bundle/change.json": codec.encode(changed),
        "bundle/signature.json": {"signer": "none: anyone may have made this bundle"
                                  if key is None else "Ed25519, key "
                                  + signing.fingerprint(signing.public_of(key))}}
    if known is not None:
        extra["bundle/familiarity.json"] = {
            "summary": {
                "rule": "a remark, where the squared Mahalanobis distance of an image's features "
                        "exceeds the limit or an image measure leaves the training images' range",
                "limit": known.limit, "training images": known.training_images,
                "validation images": known.validation_images,
                "validation images beyond the limit": known.false_alarms,
                "validation images outside a range": known.quality_alarms},
            "watched": [*known.names, *known.quality]}
    facts = Facts(chosen.run, chosen.variant.model, (chosen.variant,), (chosen.measurement,), extra,
                  ids=False)
    return collect(facts, human.read(chosen.run))
