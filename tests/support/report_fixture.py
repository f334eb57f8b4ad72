"""A fake run for tests of the report: two networks, four schemes, hostile names on request."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np

from bedside.core import codec
from bedside.core.build import Latency, Measurement, ModelSpec, Variant
from bedside.core.study import BudgetConfig, DataConfig, ModelConfig, Study
from bedside.core.types import Case, Estimate, Preprocess, Task
from bedside.runfolder import artefact, layout
from bedside.runfolder.cases import cases_to_csv
from bedside.stages.evidence import stage as evidence
from bedside.stages.recommend import stage as recommend_stage

SCHEMES = ("float32", "float16", "dynamic", "int8")
SIZES = {"float32": 1.0, "float16": 0.5, "dynamic": 0.27, "int8": 0.26}
COMPUTE = {"float32": "float32", "float16": "float32", "dynamic": "int8 (on the fly)",
           "int8": "int8"}
TASK = Task(("benign", "malignant"), "malignant")
MODELS = (("efficientnet_lite0", 13_500_000, 13.0), ("vgg16", 58_900_000, 161.0))
MACHINE = {"processor": "AMD EPYC (2 cores)", "system": "Linux", "python": "3.11.2"}


@dataclasses.dataclass(frozen=True)
class Names:
    """What a hostile data set or configuration may put its own text into."""

    classes: tuple[str, ...] = TASK.classes
    models: tuple[str, ...] = tuple(m[0] for m in MODELS)
    target: str = "cpu"
    reason: str = "XNNPACK does not take CONV_2D as int4"
    machine: str = "AMD EPYC (2 cores)"


def _stage(folder: Path, stage: str, files: dict[str, str]) -> None:
    with artefact.writing(folder, stage, "key", facts={"numpy": "2.4"}) as scratch:
        for name, text in files.items():
            artefact.write_text(scratch / name, text)


def _cases(classes: tuple[str, ...], n: int = 80) -> list[Case]:
    rng = np.random.default_rng(1)
    split = (["train"] * (n // 2) + ["val"] * (n // 4) + ["test"] * n)[:n]
    return [Case(id=f"c{i:03d}", file=f"secret-name-{i}.png", label=classes[i % len(classes)],
                 group=f"g{i // 2 if i < 4 else i}", split=split[i],  # type: ignore[arg-type]
                 age=float(rng.normal(48, 9)), size_mm=None if i % 2 else 9.0 + i)
            for i in range(n)]


def _estimates(n: int, right: int, classes: int) -> dict[str, Estimate]:
    share = right / n
    around = {"low": max(0.0, share - 0.1), "high": min(1.0, share + 0.1), "n": n}
    prefix = "macro_" if classes > 2 else ""
    return {"accuracy": Estimate(share, **around),
            f"{prefix}sensitivity": Estimate(share, **around),
            f"{prefix}specificity": Estimate(None, n=0, reason="no image of the negative class"),
            f"{prefix}auroc": Estimate(0.9, 0.85, 0.95, n)}


def make_run(run: Path, names: Names = Names(), cases: list[Case] | None = None) -> Path:
    """A run folder with 2 models × 4 schemes on one target; one cell is unsupported."""
    classes = names.classes
    task = Task(classes, classes[-1] if len(classes) == 2 else None)
    cases = cases if cases is not None else _cases(classes)
    study = Study(seed=3, data=DataConfig(source="images"), targets=(names.target,),
                  models=tuple(ModelConfig(m, epochs=4) for m in names.models),
                  budget=BudgetConfig(min_test_images=20))
    artefact.write_text(layout.study_file(run), codec.to_toml(study))
    audit = {"read": len(cases) + 1,
             "set_aside": [{"file": "secret-broken.png", "reason": names.reason}]}
    _stage(layout.data_dir(run), "data", {
        layout.CASES: cases_to_csv(cases), layout.TASK: codec.to_json(task),
        layout.AUDIT: json.dumps(audit)})
    inside = [c for c in cases if c.split in ("val", "test")]
    rng = np.random.default_rng(0)
    for number, model in enumerate(names.models):
        _, size, ms = MODELS[number % 2]
        spec = ModelSpec(model, model, Preprocess(), task, ModelConfig(model, epochs=4),
                         parameters=size // 4)
        _stage(layout.model_dir(run, model), "convert", {
            layout.SPEC: codec.to_json(spec),
            layout.HISTORY: "epoch,loss,val_auroc\n1,0.7,0.8\n2,0.5,0.91\n3,0.4,0.9\n"})
        labels = np.array([classes.index(c.label) for c in inside])
        logits = (rng.normal(size=(len(inside), len(classes)))
                  + 3 * np.eye(len(classes))[labels]).astype(np.float32)
        for scheme in SCHEMES:
            _cell(run, names, task, model, scheme, inside, labels, logits,
                  round(size * SIZES[scheme]), ms, unsupported=number == 1 and scheme == "dynamic")
            # Each scheme flips the class of one more test image than the one before.
            logits = logits.copy()
            logits[-1 - SCHEMES.index(scheme)] *= -1
    evidence.evidence(run, study.evidence)
    recommend_stage.recommend(run, study)
    return run


def _cell(run: Path, names: Names, task: Task, model: str, scheme: str, inside: list[Case],
          labels: np.ndarray, logits: np.ndarray, size: int, ms: float, unsupported: bool) -> None:
    variant = f"{model}-{scheme}"
    _stage(layout.variant_dir(run, variant), "quantize", {layout.VARIANT: codec.to_json(Variant(
        variant, model, scheme, "model.tflite", "0" * 64, size, "float32", "float32", task,
        Preprocess(), calibration="abc" if scheme == "int8" else None,
        ops_by_dtype={"int8" if scheme == "int8" else "float32": {"CONV_2D": 20}}))})
    folder = layout.measurement_dir(run, variant, names.target)
    n = {s: sum(c.split == s for c in inside) for s in ("val", "test")}
    right = {s: int(sum((logits.argmax(1) == labels)[[c.split == s for c in inside]]))
             for s in ("val", "test")}
    m = Measurement(
        variant, model, scheme, names.target, "ok",
        evidence={"accuracy": "measured", "latency": "measured"}, compute_dtype=COMPUTE[scheme],
        size_bytes=size, latency_ms=Latency(ms, ms * 1.2, 50, 2), peak_memory_bytes=90_000_000,
        delegated_fraction=1.0, predictions="predictions.npz",
        metrics={s: _estimates(n[s], right[s], len(task.classes)) for s in ("val", "test")},
        machine={**MACHINE, "processor": names.machine})
    if unsupported:
        m = dataclasses.replace(m, status="unsupported", reason=names.reason, latency_ms=None,
                                predictions=None, metrics={}, peak_memory_bytes=None)
    with artefact.writing(folder, "evaluate", "key") as scratch:
        artefact.write_text(scratch / layout.MEASUREMENT, codec.to_json(m))
        if not unsupported:
            np.savez(scratch / layout.PREDICTIONS, ids=np.array([c.id for c in inside]),
                     split=np.array([c.split for c in inside]), labels=labels, logits=logits)


PAYLOADS = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg onload=alert(1)>",
    "\"><script>alert(1)</script>", "'><img src=x onerror=alert(1)>", "</style><script>x</script>",
    "</title><script>x</script>", "</textarea><img src=x>", "--><script>x</script><!--",
    "<!--", "<![CDATA[<b>", "<iframe src=javascript:alert(1)>", "<a href=javascript:x>y</a>",
    "\" onmouseover=\"alert(1)", "' onfocus='alert(1)' autofocus='", "` onclick=`x`",
    "{{ 7*7 }}", "{% include '/etc/passwd' %}", "{{ self.__init__.__globals__ }}", "${7*7}",
    "&lt;script&gt;", "&#60;script&#62;", "\\x3cscript\\x3e", "%3Cscript%3E",
    "<base href=//evil>", "<meta http-equiv=refresh content=0>", "<link rel=stylesheet href=x>",
    "<style>*{display:none}</style>", "<form action=x><input name=y>", "<object data=x>",
    "<embed src=x>", "<video><source onerror=x>", "<details open ontoggle=x>", "<math><mi>x",
    "<template><b>", "<plaintext>", "\u202eesrever", "nul\x00byte", "<b\x00>", "\ud7ff\ufeff<i>",
]
