"""Why INT8 changes the logits: one cause at a time, each written and run as a file of its own.

The paper sees full-integer logits biased in its Figure 9 and names inaccurate scaling factors, that
is clipping. A correlation cannot tell; these interventions do, on the same validation images:

- ``true_ranges``: the variant with ranges that hold all that the float network computes on these
  images. Nothing but rounding is left.
- ``clipping``: the float network with every activation cut at the variant's ranges, nothing
  rounded (MINIMUM and MAXIMUM operations in the file).
- ``weights`` and ``biases``: the float network with the variant's rounded int8 weights, or its
  int32 biases, and nothing else.
- ``mean_shift``: the variant after bias correction, on calibration images (Nagel et al. 2019).

A cause that alone makes more than half of the variant's mean squared change of the logits, with its
whole interval, is named. Shares need not add up to one: causes interact, and may offset each other.
A shift that is the same on every image changes decisions and not the AUC, so the change of the AUC
has its own answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bedside.core import codec
from bedside.core.build import Variant
from bedside.core.errors import BadInput
from bedside.core.evidence import OperatingPoint
from bedside.core.types import Case, Estimate
from bedside.figures import inputs
from bedside.metrics import damage
from bedside.metrics.compare import Side, compare, scores_of
from bedside.metrics.design import clusters_of
from bedside.metrics.inputs import Floats, Labels
from bedside.metrics.paired import Bools, paired_proportion
from bedside.metrics.probability import decide
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.graph import parse_graph
from bedside.runtime.litert import predict
from bedside.schemes import biascorrect, interventions, quantizer

RANGES = "ranges.json"
# Calibration images on which means are measured for the bias correction.
CORRECTION_IMAGES = 32
FULL = "variant"

# In the figure's order; ``alone`` causes apply one thing and no other.
NAMES = {FULL: "as it is", "true_ranges": "true ranges: rounding only",
         "clipping": "clipping only", "weights": "weight rounding only",
         "biases": "bias rounding only", "mean_shift": "mean shifts corrected"}
ALONE = {"true_ranges": "rounding", "clipping": "clipping", "biases": "rounding of the biases"}
HALF = 0.5
# With fewer images a ratio's interval is not to be trusted, and no cause is named.
FEWEST = 10

Ranges = Mapping[str, tuple[float, float]]


def files(run: Path, variant: Variant, seen: Ranges) -> dict[str, bytes]:
    """Return the ``.tflite`` of every intervention by name, ``variant`` being the file itself.

    Args:
        run: the run folder.
        variant: an integer variant of a model as it was converted (no parent).
        seen: real (lowest, highest) value of every float activation on the images, by tensor name.

    Raises:
        BadInput: the quantizer refuses the model, or its calibration is missing.
    """
    model = (layout.model_dir(run, variant.model) / layout.FLOAT_MODEL).read_bytes()
    own = inputs.variant_path(run, variant).read_bytes()
    recipe = artefact.read_document(layout.variant_dir(run, variant.id) / layout.RECIPE)["recipe"]
    folder = layout.calibration_dir(run, variant.model) / str(variant.calibration)
    artefact.check(folder, "calibrate")
    ranges: dict[str, tuple[float, float]] = codec.read_json(
        dict[str, tuple[float, float]], folder / RANGES)
    return {
        FULL: own,
        "true_ranges": quantizer.apply_int8(model, recipe, interventions.widened(ranges, seen)),
        "clipping": interventions.clip_activations(
            model, interventions.limits(parse_graph(own))),
        "weights": interventions.round_weights(model, own),
        "biases": interventions.round_biases(model, own),
        "mean_shift": _corrected(run, variant, model, own, recipe, ranges)}


def _corrected(run: Path, variant: Variant, model: bytes, own: bytes, recipe: list[dict[str, Any]],
               ranges: Ranges) -> bytes:
    """Quantize with biases that offset the mean error of each layer, then of the logits."""
    ids = correction_images(run, variant)
    runner = inputs.Runner(run, inputs.original_of(run, variant.model))
    wanted = [o.inputs[0] for o in runner.graph.convolutions()]
    sums = [np.zeros(runner.graph.tensors[i].shape[-1]) for i in wanted]
    with stored.pixel_store(run, variant.preprocess) as store:
        images = list(store.tensors(ids))
    for image in images:
        for total, values in zip(sums, runner.tensors(image, wanted), strict=True):
            total += values.reshape(-1, values.shape[-1]).mean(axis=0, dtype=np.float64)
    fixed = biascorrect.correct_weights(model, own, [t / len(ids) for t in sums])
    off = predict(model, images)[0].astype(np.float64) - predict(
        quantizer.apply_int8(fixed, recipe, ranges), images)[0]
    shift = np.asarray(off.mean(axis=0), np.float64)
    graph = runner.graph
    if graph.tensors[graph.convolutions()[-1].outputs[0]].shape[-1] == shift.size:
        fixed = biascorrect.correct_classifier(fixed, shift)
    return quantizer.apply_int8(fixed, recipe, ranges)


def correction_images(run: Path, variant: Variant) -> list[str]:
    """Return the ids of the first calibration images of a variant; all are training images."""
    document = artefact.read_document(layout.calibration_dir(run, variant.model)
                                      / str(variant.calibration) / layout.CALIBRATION)
    return [str(i) for i in document["ids"]][:CORRECTION_IMAGES]


# ------------------------------------------------------------------ what each does


def study(run: Path, variant: Variant, cases: Sequence[Case], seen: Ranges, point: OperatingPoint
          ) -> dict[str, Any]:
    """Return the facts of one variant's interventions; ``reason`` where there are none.

    ``n``; ``threshold`` (log-odds, None for the largest logit); ``cause`` and ``auc_cause`` (see
    :func:`cause` and :func:`auc_cause`);
    ``rows`` by name, each compared with float32 on the same images: ``damage`` (root mean square
    change of the logits), ``share`` (of the variant's mean squared change), ``shift`` and
    ``confidence`` (mean change of the margin and of its size), ``changed`` (share of decisions),
    ``changed_change`` (that minus the variant's own), ``accuracy_change`` and ``auc_change``, all
    Estimates with 95% intervals; ``auc``, ``auc_float32``, ``lost`` and ``gained`` (images); and
    the file's ``sha256``, ``size_bytes`` and ``evidence``.

    Args:
        run: the run folder.
        variant: as for :func:`files`.
        cases: validation cases.
        seen: likewise.
        point: the locked operating point of float32.
    """
    try:
        found = files(run, variant, seen)
    except BadInput as error:
        return {"reason": str(error), "rows": {}, "cause": None, "auc_cause": None}
    original = layout.model_dir(run, variant.model) / layout.FLOAT_MODEL
    with stored.pixel_store(run, variant.preprocess) as store:
        images = [store.tensor(c.id) for c in cases]
    base = predict(original.read_bytes(), images)[0].astype(np.float64)
    logits = {k: predict(data, images)[0].astype(np.float64) for k, data in found.items()}
    rows = measure(run, cases, base, logits, point)
    for name, data in found.items():
        rows[name] |= {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data),
                       "evidence": "measured"}
    return {"reason": None, "n": len(cases), "threshold": point.threshold_log_odds,
            "rows": rows, "cause": cause(rows), "auc_cause": auc_cause(rows)}


def measure(run: Path, cases: Sequence[Case], base: Floats, logits: Mapping[str, Floats],
            point: OperatingPoint) -> dict[str, dict[str, Any]]:
    """Return the numbers of every intervention by name, see :func:`study`.

    Args:
        run: the run folder.
        cases: (n,).
        base: (n, K) logits of float32.
        logits: (n, K) by name, ``variant`` among them.
        point: the locked operating point of float32.
    """
    task, config = stored.task(run), stored.study(run).evidence
    positive = inputs.positive_index(task)
    labels = np.asarray([task.classes.index(c.label) for c in cases], np.int64)
    groups = [c.group or c.id for c in cases]
    clusters = clusters_of(groups)
    ids = np.array([c.id for c in cases])
    place = positive if positive is not None else len(task.classes) - 1
    whole = damage.squared(base, logits[FULL])
    before = margins(base, place)

    def called(values: Floats) -> Labels:
        return decide(values, scores_of(values, positive), positive, point)

    flipped = called(logits[FULL]) != called(base)
    rows: dict[str, dict[str, Any]] = {}
    for name, own in logits.items():
        change, after = damage.squared(base, own), margins(own, place)
        against = compare(Side(ids, labels, base, point), Side(ids, labels, own, point), positive,
                          groups, config)
        assert against.flips is not None
        auc = against.tests["auroc" if positive is not None else "macro_auroc"]
        found = {
            "damage": damage.root_mean_square(change, clusters),
            "share": damage.ratio(change, whole, clusters),
            "shift": damage.mean_change(after - before, clusters),
            "confidence": damage.mean_change(abs(after) - abs(before), clusters),
            "changed": against.flips.changed,
            "changed_change": _fewer(flipped, called(own) != called(base), clusters),
            "accuracy_change": against.tests["accuracy"].difference,
            "auc_change": auc.difference}
        rows[name] = {k: codec.encode(v) for k, v in found.items()} | {
            "auc": auc.new, "auc_float32": auc.old,
            "lost": against.flips.lost, "gained": against.flips.gained}
    return rows


def _fewer(old: Bools, new: Bools, clusters: Labels | None) -> Estimate:
    """Return the share of new minus that of old, paired: Tango's interval, or over patients."""
    if clusters is None:
        return paired_proportion("changed", old, new, None, "no image").difference
    return damage.mean_change(new.astype(np.float64) - old, clusters)


def margins(logits: Floats, place: int) -> Floats:
    """Return the lead (n,) of one class over the best other."""
    others = np.delete(logits, place, axis=1).max(axis=1)
    found: Floats = logits[:, place].astype(np.float64) - others
    return found


def cause(rows: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return the key of ``ALONE`` that makes more than half of the change alone, or None.

    The lower limit of its share must exceed one half; of several the largest share counts. None
    too with fewer than ten images.
    """
    if rows[FULL]["share"]["n"] < FEWEST:
        return None
    shares = {k: rows[k]["share"] for k in ALONE}
    proved = {k: e["value"] for k, e in shares.items() if (e["low"] or 0.0) > HALF}
    return max(proved, key=proved.__getitem__) if proved else None


def auc_cause(rows: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return the key of ``ALONE`` that alone lowers the AUC most, where it is proved, or None.

    None also where the variant itself is not shown to lose.
    """
    if not lowers(rows[FULL]):
        return None
    proved = {k: rows[k]["auc_change"]["value"] for k in ALONE if lowers(rows[k])}
    return min(proved, key=proved.__getitem__) if proved else None


def lowers(row: Mapping[str, Any]) -> bool:
    """Return whether a loss of AUC is proved for a row."""
    high = row["auc_change"]["high"]
    return high is not None and high < 0
