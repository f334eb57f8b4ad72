"""The methods section: data, preprocessing, training, calibration, machine."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import bedside
from bedside.core import codec
from bedside.core.build import Measurement, ModelSpec, Variant
from bedside.core.contract import Contract, ContractCheck
from bedside.core.model_files import Conversion
from bedside.core.study import Study
from bedside.core.text import count, plural
from bedside.core.types import Resize
from bedside.runfolder import artefact, layout, stored

Facts = tuple[tuple[str, str], ...]

_OPTIMIZERS = {"adamw": "AdamW", "sgd": "SGD"}
# Manifests hold other facts beside versions; the report shows those elsewhere.
_VERSION = re.compile(r"v?\d+\.\d")

# The paper's equations (1), (3) and (4), and what its sources and this program use.
FORMULAS = (
    "Real numbers and integers: R = S (q − Z), and q = Int(R / S) + Z, clipped to the integer "
    "type; S is a positive real number and Z the integer that stands for 0 (Jacob et al. 2018, "
    "equation 1; LiteRT’s quantization specification). Weights have Z = 0.",
    "The paper’s formula (1), Quant(R) = Int(R/S) − Z, and its formula (4), "
    "R = S (Quant(R) − Z), do not agree in the sign of Z: put into (4), (1) gives back R − 2SZ, "
    "up to rounding, instead of R. Formula (4) is that of LiteRT; formula (1) should add Z. They "
    "agree only where Z = 0, as in formula (3). This program and LiteRT use (4) throughout, with "
    "+ Z in (1), so no result depends on the slip.",
)


def task_line(spec_classes: Sequence[str], positive: str | None) -> str:
    """List the classes in order, naming the positive one."""
    names = " · ".join(spec_classes)
    return f"{names} (positive: {positive})" if positive else names


def preprocessing(specs: Sequence[ModelSpec]) -> tuple[tuple[str, str], ...]:
    """Describe how an image becomes a tensor, a line per model."""
    lines = []
    for spec in specs:
        p = spec.preprocess
        colour = "grey" if p.channels == 1 else f"{p.channels} channels"
        scale = ("divided by the resized image’s maximum" if p.normalise == "max"
                 else "divided by the largest value of its integer type")
        text = (f"{colour}, {_resize(p.resize)} to {p.width_px} × {p.height_px} px, {scale}, "
                "float32")
        if any(p.mean) or any(s != 1.0 for s in p.std):
            text += f", then mean {list(p.mean)} and std {list(p.std)}"
        lines.append((spec.id, text))
    return tuple(lines)


def _resize(how: Resize) -> str:
    kind, _, fit = how.partition("-")
    words = {"bilinear": "bilinear with anti-aliasing", "nearest": "nearest pixel",
             "area": "mean over area"}[kind]
    return words + {"": "", "fit": ", whole with black borders,",
                    "crop": ", its centre alone,"}[fit]


def contracts(run: Path, specs: Sequence[ModelSpec]) -> tuple[tuple[str, str], ...]:
    """Describe the contract of every model trained elsewhere, and how it held."""
    lines = []
    for spec in specs:
        folder = layout.model_dir(run, spec.id)
        if not (folder / layout.CONTRACT).is_file():
            continue
        c = codec.read_toml(Contract, artefact.verified(folder / layout.CONTRACT))
        low, high = c.input_range
        text = (f"{c.source}, trained elsewhere: pixels as {low:g} to {high:g} "
                f"({c.origin.get('input_range', '')}), classes {c.origin.get('classes', '')}, "
                f"output {c.output_kind}")
        if (folder / layout.CONTRACT_CHECK).is_file():
            found = codec.read_json(ContractCheck, artefact.verified(
                folder / layout.CONTRACT_CHECK))
            text += f"; {_held(found)}"
        lines.append((f"{spec.id}, contract", text))
    return tuple(lines)


def _held(found: ContractCheck) -> str:
    auc, parity = found.auc, found.parity
    if parity is None or auc.value is None or auc.low is None or auc.high is None:
        return f"not held against images: {auc.reason}"
    return (f"on {found.images} validation images its AUC is {auc.value:.3f} [{auc.low:.3f}, "
            f"{auc.high:.3f}], and {parity.classes_differ} change class against the file that "
            f"entered (largest difference of a probability {parity.largest_difference:.1g})")


def history(path: Path) -> tuple[dict[str, str], ...]:
    """Read the rows of ``history.csv``, or none where the model was trained elsewhere."""
    if not path.is_file():
        return ()
    return tuple(csv.DictReader(io.StringIO(codec.read_text(path))))


def _number(row: Mapping[str, str], name: str) -> float | None:
    try:
        return float(row[name])
    except (KeyError, ValueError, TypeError):
        return None


def training(run: Path, study: Study, specs: Sequence[ModelSpec]) -> tuple[tuple[str, Facts], ...]:
    """Describe the recipe and the outcome of every network's training."""
    found: list[tuple[str, Facts]] = []
    t = study.train
    for spec in specs:
        c = spec.config
        if spec.origin == "external" or c is None:
            found.append((spec.id, (("Origin", "trained elsewhere, imported as .tflite"),)))
            continue
        network = f"{spec.name}, {count(spec.parameters)} parameters"
        if c.width != 1.0:
            network += f", width {c.width:g}"
        if c.cam_conv:
            network += ", with CAM convolution"
        tuned, chosen = _tuned(run, spec.id)
        rate, decay, augment = chosen or (c.learning_rate or t.learning_rate, t.weight_decay,
                                          t.augment)
        schedule = {"onecycle": "one-cycle", "cosine": "cosine"}[t.schedule]
        facts = [
            ("Network", network),
            ("Starting weights", _starting_weights(run, spec.id, c.weights)),
            ("Recipe", f"{_OPTIMIZERS[t.optimizer]}, learning rate {rate:g} ({schedule}), "
                       f"weight decay {decay:g}, batch {c.batch_size or t.batch_size}, "
                       f"augmentation {augment:g}"
                       + (", class weights" if t.class_weights else "")
                       + (f", label smoothing {t.label_smoothing:g}" if t.label_smoothing else "")
                       + (f", weight averaging {t.ema_decay:g}" if t.ema_decay else "")),
        ]
        facts += tuned
        facts += _parity(run, spec.id)
        facts += _outcome(history(layout.model_dir(run, spec.id) / layout.HISTORY),
                          c.epochs or t.epochs)
        found.append((spec.id, tuple(facts)))
    return tuple(found)


def _tuned(run: Path, model: str
           ) -> tuple[list[tuple[str, str]], tuple[float, float, float] | None]:
    """Return what ``--tune`` did, and the learning rate, weight decay and augmentation chosen."""
    found = stored.tuning(run, model)
    if found is None or found.chosen is None:
        return [], None
    best = found.trials[found.chosen]
    text = (f"{plural(len(found.trials), 'trial')} of "
            f"{plural(found.epochs, 'epoch')}, chosen on validation AUC "
            f"({best.val_auroc:.3f} in trial {found.chosen + 1})")
    return [("Tuning", text)], (best.learning_rate, best.weight_decay, best.augment)


def _starting_weights(run: Path, model: str, asked: str) -> str:
    trained = artefact.read_manifest(layout.model_dir(run, model)).stages.get("train")
    # A local path tells a reader nothing and may reveal names.
    if asked.endswith(".safetensors"):
        return "a .safetensors file of the user’s"
    return trained.facts.get("weights", asked) if trained is not None else asked


def _parity(run: Path, model: str) -> list[tuple[str, str]]:
    path = layout.model_dir(run, model) / layout.CONVERSION
    if not path.is_file():
        return []
    found = codec.read_json(Conversion, path).largest_logit_difference
    return [] if found is None else [
        ("Conversion", f"largest logit difference between torch and .tflite {found:.1e}")]


def _outcome(rows: Sequence[Mapping[str, str]], planned: int) -> list[tuple[str, str]]:
    if not rows:
        return [("Epochs", f"{planned} planned, no history stored")]
    text = f"{len(rows)} of {planned}"
    # Training's own rule: of epochs with equal AUC, the lower loss.
    scored = [(auc, -(_number(row, "val_loss") or 0.0), -i) for i, row in enumerate(rows)
              if (auc := _number(row, "val_auroc")) is not None]
    if scored:
        best, _, at = max(scored)
        text += f"; best validation AUC {best:.3f} after epoch {1 - at}, whose weights are used"
    return [("Epochs", text)]


def calibration(run: Path, study: Study, variants: Sequence[Variant]) -> Facts:
    """Describe the calibration images and the variants that used them."""
    using = [v for v in variants if v.calibration]
    if not using:
        return (("Calibration", "not needed by any variant"),)
    c = study.calibration
    counts = sorted({str(len(made.ids)) for v in using
                     if (made := stored.calibration(run, v)) is not None})
    return (
        ("Images", f"{', '.join(counts) or f'up to {c.images}'} of the training split "
                   f"({c.choice}, seed {c.seed})"),
        *(("Ranges", f"{name}: {', '.join(ids)}")
          for name, ids in sorted(_by_estimator(run, study, using).items())),
        *(("Child of a float model", f"{v.id} from {v.parent}") for v in using if v.parent),
    )


def _by_estimator(run: Path, study: Study, variants: Sequence[Variant]) -> dict[str, list[str]]:
    """Group the variants' ids by the estimator of their calibration."""
    found: dict[str, list[str]] = {}
    for v in variants:
        made = stored.calibration(run, v)
        name = (made.config if made else study.calibration).estimator
        found.setdefault(name, []).append(v.id)
    return found


def operations(variants: Sequence[Variant]) -> tuple[tuple[str, str], ...]:
    """Count the operations by number format, a line per variant, as read from its file."""
    lines = []
    for v in variants:
        total = {dtype: sum(ops.values()) for dtype, ops in v.ops_by_dtype.items()}
        if total:
            text = ", ".join(f"{n} in {d}" for d, n in sorted(total.items(), key=lambda i: -i[1]))
            lines.append((v.id, f"{text}; image in {v.input_dtype}, logits in {v.output_dtype}"))
    return tuple(lines)


def latency_protocol(study: Study, measurements: Sequence[Measurement]) -> str:
    """How latencies were sampled."""
    e = study.evaluate
    threads = sorted({m.latency_ms.threads for m in measurements if m.latency_ms})
    used = " or ".join(map(str, threads)) or "no"
    return (f"Batch 1, {used} threads, a fresh process for each of {e.rounds} rounds of a "
            f"variant, variants interleaved; {e.warmup} warm-up runs, then {e.samples} samples "
            "a round. Median and 95th percentile over all samples; raw samples are kept in "
            "latency.csv.")


def machines(measurements: Sequence[Measurement]) -> tuple[tuple[str, Facts], ...]:
    """List the distinct machines that measured, each with its targets."""
    seen: dict[Facts, list[str]] = {}
    for m in measurements:
        if m.machine:
            seen.setdefault(tuple(sorted(m.machine.items())), []).append(m.target)
    return tuple((", ".join(dict.fromkeys(targets)), facts) for facts, targets in seen.items())


def versions(run: Path) -> Facts:
    """List the package versions in the stages' manifests, and this program's own."""
    found: dict[str, dict[str, None]] = {"bedside": {bedside.__version__: None}}
    for manifest in sorted(run.glob(f"*/**/{artefact.MANIFEST}")):
        if any(part.startswith(".") for part in manifest.relative_to(run).parts):
            continue
        for stage in artefact.read_manifest(manifest.parent).stages.values():
            for name, value in stage.facts.items():
                if _VERSION.match(value):
                    found.setdefault(name, {})[value] = None
    return tuple((name, ", ".join(values)) for name, values in sorted(found.items()))


def seeds(study: Study) -> Facts:
    """List every seed of the study."""
    return (("Split, weights, training order", str(study.seed)),
            ("Calibration images", str(study.calibration.seed)))
