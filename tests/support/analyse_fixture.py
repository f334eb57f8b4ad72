"""A small finished run for the analyses: blob images, a tiny network, four schemes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bedside import metrics, schemes
from bedside.core import codec
from bedside.core.build import Latency, Measurement, ModelSpec, Variant
from bedside.core.repeats import Unit, UnitResult
from bedside.core.study import (
    CalibrationConfig,
    EvidenceConfig,
    ModelConfig,
    RepeatsConfig,
    Study,
)
from bedside.core.types import Case, Preprocess, Task
from bedside.figures.base import FigureData
from bedside.flows import repeats_summary
from bedside.flows.search import calibration_study
from bedside.runfolder import artefact, layout, stored
from bedside.runfolder.cases import cases_to_csv
from bedside.runfolder.predictions import read_predictions
from bedside.runtime.litert import LiteRTModel
from bedside.runtime.pixels import INDEX, PIXELS, PixelIndex
from bedside.runtime.preprocess import decode, resize
from bedside.stages import calibrate, quantize
from bedside.stages.evidence import stage as evidence

PX = 32
SCHEMES = ("float32", "float16", "dynamic", "int8")
TASK = Task(("benign", "malignant"), "malignant")
SPLITS = ("train", "train", "val", "test", "test", "test")


def tiny_network(cam: bool = True) -> Any:
    """conv 5×5/2 → residual of two → concat of two branches → 1×1 classifier and mean."""
    import torch
    from torch import nn

    class Tiny(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(1, 8, 5, 2, 2)
            self.conv2 = nn.Conv2d(8, 8, 3, 1, 1)
            self.conv3 = nn.Conv2d(8, 8, 3, 1, 1)
            self.left = nn.Conv2d(8, 8, 1)
            self.right = nn.Conv2d(8, 8, 3, 1, 1)
            self.last = nn.Conv2d(16, 12, 3, 1, 1)
            self.head = nn.Conv2d(12, 2, 1)

        def forward(self, image: Any) -> dict[str, Any]:
            x = torch.relu(self.conv1(image.permute(0, 3, 1, 2)))
            x = torch.relu(x + self.conv3(torch.relu(self.conv2(x))))
            x = torch.relu(torch.cat([self.left(x), self.right(x)], 1))
            maps = self.head(torch.relu(self.last(x)))
            logits = maps.mean(dim=(2, 3))
            return {"logits": logits, "cam": maps.permute(0, 2, 3, 1)} if cam else {
                "logits": logits}

    # Layer names in the file come from the class's qualified name.
    Tiny.__qualname__ = "Tiny"
    torch.manual_seed(0)
    torch.set_num_threads(1)
    return Tiny().eval()


def blob_dataset(root: Path) -> list[Case]:
    """Twelve images of a bright blob each, with its mask; malignant blobs are larger."""
    rng = np.random.default_rng(0)
    cases = []
    y, x = np.mgrid[:48, :40]
    for i in range(12):
        label = TASK.classes[i % 2]
        radius = (5, 9)[i % 2]
        blob = (y - rng.integers(16, 32)) ** 2 + (x - rng.integers(14, 26)) ** 2 < radius ** 2
        noise = rng.integers(20, 90, blob.shape)
        name = f"{label}/{i:02d}.png"
        (root / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.where(blob, 200, noise).astype(np.uint8)).save(root / name)
        mask = f"{label}/{i:02d}_mask.png"
        Image.fromarray(np.where(blob, 255, 0).astype(np.uint8)).save(root / mask)
        cases.append(Case(f"c{i:02d}", name, label, group=f"g{i}", split=SPLITS[i // 2 % 6],
                          height_px=48, width_px=40, masks=(mask,) if i != 11 else ()))
    return cases


def publish_data(run: Path, root: Path, cases: list[Case], preprocess: Preprocess,
                 task: Task = TASK) -> None:
    """The folders of the data and cache stages."""
    artefact.write_text(layout.study_file(run), codec.to_toml(Study()))
    with artefact.writing(layout.data_dir(run), "data", "k") as scratch:
        (scratch / layout.CASES).write_text(cases_to_csv(cases))
        (scratch / layout.TASK).write_text(codec.to_json(task))
        (scratch / "source.json").write_text(codec.to_json({"root": str(root)}))
    with artefact.writing(layout.cache_dir(run, preprocess), "cache", "k") as scratch:
        with (scratch / PIXELS).open("wb") as handle:
            for case in cases:
                handle.write(resize(decode(root / case.file, preprocess.channels),
                                    preprocess).tobytes())
        index = PixelIndex(preprocess, "uint8", tuple(c.id for c in cases))
        (scratch / INDEX).write_text(codec.to_json(index))


def publish_model(run: Path, name: str, export: Callable[[Path], None], preprocess: Preprocess,
                  task: Task = TASK, last_conv: str | None = None, history: bool = True) -> None:
    """The folders of train and convert. ``export`` writes the float model."""
    folder = layout.model_dir(run, name)
    study = stored.study(run)
    named = (*study.models, ModelConfig(name))
    artefact.write_text(layout.study_file(run), codec.to_toml(replace(study, models=named)))
    with artefact.writing(folder, "train", "k") as scratch:
        if history:
            rows = [f"{e},{0.7 / e + 0.2},{0.8 / e + 0.25},{0.6 + e / 40},{0.6 + e / 30},0.001"
                    for e in range(1, 9)]
            (scratch / layout.HISTORY).write_text(
                "epoch,train_loss,val_loss,val_accuracy,val_auroc,learning_rate\n"
                + "\n".join(rows) + "\n")
        (scratch / layout.SPEC).write_text(codec.to_json(
            ModelSpec(name, name, preprocess, task, last_conv=last_conv)))
    with artefact.writing(folder, "convert", "k") as scratch:
        export(scratch / layout.FLOAT_MODEL)


def publish_variants(run: Path, name: str, images: int = 4) -> None:
    """The variants of every scheme, by the real stages."""
    folder = calibrate.calibrate(run, name, CalibrationConfig(images=images))
    ranges = calibrate.read_ranges(folder)
    for scheme in SCHEMES:
        needed = schemes.parse(scheme).scheme.needs_calibration
        quantize.quantize(run, name, schemes.parse(scheme), folder if needed else None,
                          ranges if needed else None)


def publish_measurements(run: Path, name: str) -> None:
    """Real logits of validation and test; invented latencies."""
    cases = [c for c in stored.cases(run) if c.split in ("val", "test")]
    rng = np.random.default_rng(1)
    for variant in stored.variants(run):
        if variant.model != name:
            continue
        model = LiteRTModel(layout.variant_dir(run, variant.id) / variant.file)
        with stored.pixel_store(run, variant.preprocess) as store:
            logits = np.concatenate([model.run(t)["logits"]
                                     for t in store.tensors([c.id for c in cases])])
        folder = layout.measurement_dir(run, variant.id, "cpu")
        ms = 20 + 8 * SCHEMES.index(variant.scheme) % 3 + rng.gamma(2, 1, 30)
        with artefact.writing(folder, "evaluate", "k") as scratch:
            classes = list(variant.task.classes)
            with (scratch / layout.PREDICTIONS).open("wb") as handle:
                np.savez(handle, ids=np.array([c.id for c in cases]),
                         split=np.array([c.split for c in cases]),
                         labels=np.array([classes.index(c.label) for c in cases]),
                         logits=logits.astype(np.float32))
            (scratch / layout.LATENCY).write_text("round,sample,ms\n" + "".join(
                f"{i // 10},{i % 10},{v:.4f}\n" for i, v in enumerate(ms)))
            (scratch / layout.MEASUREMENT).write_text(codec.to_json(Measurement(
                variant.id, name, variant.scheme, "cpu", "ok",
                evidence={"accuracy": "measured", "latency": "measured"},
                compute_dtype="int8" if variant.scheme == "int8" else "float32",
                size_bytes=variant.size_bytes, predictions=layout.PREDICTIONS,
                metrics=_metrics(cases, classes, logits),
                latency_ms=Latency(float(np.median(ms)), float(np.percentile(ms, 95)), 30, 2),
                machine={"processor": "a test's CPU"})))
        if variant.scheme in ("float32", "int8"):
            _publish_estimates(run, variant)


def _metrics(cases: list[Case], classes: list[str], logits: Any) -> Any:
    labels = np.array([classes.index(c.label) for c in cases])
    splits = np.array([c.split for c in cases])
    return {s: metrics.evaluate(labels[splits == s], logits[splits == s], 1)
            for s in ("val", "test")}


def _publish_estimates(run: Path, variant: Variant) -> None:
    """Cells of a phone's CPU and NPU, as the backend ``estimate`` gives them."""
    for target, ms in (("sd865-cpu", 8.0), ("sd865-npu", 1.0)):
        if (variant.scheme, target) == ("float32", "sd865-npu"):
            continue
        folder = layout.measurement_dir(run, variant.id, target)
        with artefact.writing(folder, "evaluate", "k") as scratch:
            (scratch / layout.MEASUREMENT).write_text(codec.to_json(Measurement(
                variant.id, variant.model, variant.scheme, target, "ok",
                evidence={"latency": "estimated"}, latency_ms=Latency(ms, None, 0, 1),
                facts={"fitted": float(variant.scheme == "int8")})))


def make_run(base: Path) -> Path:
    """The whole small run under ``base``; the dataset lies beside it.

    Two models: ``tiny`` with everything, and ``foreign``, which has no CAM output, no training
    history and no named last convolution, as a model trained elsewhere.
    """
    run, root = base / "run", base / "dataset"
    preprocess = Preprocess(PX, PX, 1)
    publish_data(run, root, blob_dataset(root), preprocess)
    publish_model(run, "tiny", _exporter(preprocess, cam=True), preprocess, last_conv="last")
    publish_model(run, "foreign", _exporter(preprocess, cam=False), preprocess, history=False)
    for name in ("tiny", "foreign"):
        publish_variants(run, name)
        publish_measurements(run, name)
    evidence.evidence(run, EvidenceConfig())
    calibration_study.study(run, "tiny", calibration_study.Plan(
        ("minmax",), ("random",), (2, 4), seeds=1))
    publish_repeats(run)
    return run


def publish_repeats(run: Path) -> None:
    """Repeats whose units found what the run itself did."""
    cells = repeats_summary.cells(run)
    units = [UnitResult(Unit(f"{draw}-{r}", draw, r, r), "ok", None, 20, 10, 30, cells)
             for draw in repeats_summary.DRAWS for r in (1, 2)]
    with artefact.writing(layout.repeats_dir(run), "repeats", "test") as scratch:
        artefact.write_text(scratch / layout.REPEATS, codec.to_json(
            repeats_summary.summarise(run, RepeatsConfig(2), units, ())))


def _exporter(preprocess: Preprocess, cam: bool) -> Callable[[Path], None]:
    from bedside.stages.convert import _export

    module = tiny_network(cam)
    return lambda path: _export(module, preprocess, path)


_SHARED: dict[str, Path] = {}


def analysed_run(factory: Any) -> Path:
    """The small run with its analyses, made once a session; readers must not change it."""
    from bedside.stages.analyse import analyse
    from bedside.stages.evidence.stage import evidence
    from bedside.stages.recommend.stage import recommend

    if "run" not in _SHARED:
        run = make_run(factory.mktemp("analyse"))
        study = stored.study(run)
        evidence(run, study.evidence)
        recommend(run, study)
        analyse(run)
        _SHARED["run"] = run
    return _SHARED["run"]


def flipped_run(factory: Any) -> Path:
    """The analysed run with int8 predictions pushed over the threshold, and its report."""
    from bedside.stages.analyse import analyse
    from bedside.stages.evidence.stage import evidence
    from bedside.stages.report.build import build_report

    if "flipped" in _SHARED:
        return _SHARED["flipped"]
    folder = factory.mktemp("flips") / "run"
    shutil.copytree(analysed_run(factory), folder)
    for model in ("tiny", "foreign"):
        cell = layout.measurement_dir(folder, f"{model}-int8", "cpu")
        old = read_predictions(cell / layout.PREDICTIONS)
        text = (cell / layout.MEASUREMENT).read_text()
        limit = stored.operating_points(folder, model).locked.threshold_log_odds
        plain = stored.predictions(folder, f"{model}-float32", "cpu").logits
        called = plain[:, 1] - plain[:, 0] >= limit
        # Every image but the first two goes to the other side of the threshold.
        other = np.where(np.arange(len(called)) < 2, called, ~called)
        value = np.where(other, limit + 1, limit - 1).astype(np.float32)
        with artefact.writing(cell, "evaluate", "flipped") as scratch:
            (scratch / layout.MEASUREMENT).write_text(text)
            np.savez(scratch / layout.PREDICTIONS, ids=old.ids, split=old.split,
                     labels=old.labels, logits=np.stack([-value / 2, value / 2], axis=1))
    evidence(folder, EvidenceConfig())
    analyse(folder)
    build_report(folder)
    _SHARED["flipped"] = folder
    return folder


def figure_data(run: Path, figure: str, model: str = "tiny") -> FigureData:
    """A figure's data as the run holds it."""
    return FigureData.load(layout.analysis_dir(run, figure, model))
