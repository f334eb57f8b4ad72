"""``run`` and ``demo``, and every stage of an existing run by itself."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bedside.cli import options, output
from bedside.cli.output import Reporter
from bedside.core.errors import MissingComponent
from bedside.core.text import duration

if TYPE_CHECKING:
    from bedside.core.types import Estimate
    from bedside.flows.plan import Step

Targets = Annotated[list[str] | None, typer.Option("--target", help="A target; repeat for more.")]


def run(
    dataset: Annotated[Path | None, typer.Argument(
        help="A folder of classes, a CSV manifest, a MedMNIST .npz, or 'phantom'.")] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="A study.toml.")] = None,
    out: Annotated[Path, typer.Option(help="The run folder.")] = Path("runs/study"),
    preset: Annotated[str | None, typer.Option(
        help="practical (default), paper or demo.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="A network; repeat for more.")] = None,
    scheme: Annotated[list[str] | None, typer.Option(
        help="A quantization scheme with options, as int8+io8; repeat for more.")] = None,
    target: Targets = None,
    only: options.Only = None,
    dry_run: Annotated[bool, typer.Option(
        "--dry-run", help="Print the stages with a time estimate, and stop.")] = False,
    skip_bad: options.SkipBad = False,
    exclude: options.Exclude = None,
    merge: options.Merge = None,
    positive: options.Positive = None,
    split_file: options.SplitFile = None,
    class_names: options.ClassNames = None,
    columns: options.Columns = None,
    layout: options.Layout = None,
    near_duplicates: options.NearDuplicates = None,
    regroup: options.Regroup = False,
    decisions: options.Decisions = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs for every network.")] = None,
    image_px: Annotated[int | None, typer.Option(
        min=32, max=1024, help="Image side for every network, pixels.")] = None,
    weights: Annotated[Path | None, typer.Option(
        help="Pretrained weights, .safetensors with torchvision's names.")] = None,
    tune: Annotated[int | None, typer.Option(
        min=0, help="Trials of learning rate, weight decay and augmentation.")] = None,
    seed: options.Seed = None,
    float_model: Annotated[Path | None, typer.Option(
        help="A float classifier trained elsewhere, .tflite or .onnx.")] = None,
    preprocess: Annotated[Path | None, typer.Option(
        help="A TOML with that model's preprocessing.")] = None,
    last_conv: Annotated[str | None, typer.Option(
        help="That model's last convolution layer, for the figures.")] = None,
    repeats: Annotated[int | None, typer.Option(
        min=0, help="Repeat the study: other training seeds, splits and calibration images.")
        ] = None,
    folds: Annotated[int | None, typer.Option(
        min=0, help="Redraw splits as cross-validations of so many folds.")] = None,
    model_classes: options.ModelClasses = None,
    input_range: options.InputRange = None,
    mean: options.Mean = None,
    std: options.Std = None,
    colour: options.Colour = None,
    resize: options.Resize = None,
    filter: options.Filter = None,
    normalise: options.Normalise = None,
    output_kind: options.OutputKind = None,
    output_name: options.OutputName = None,
    signature: options.Signature = None,
    image_size: options.ImageSize = None,
    quantized_model: Annotated[Path | None, typer.Option(
        help="A .tflite quantized elsewhere, judged as it is (--float-model: its parent).",
    )] = None,
) -> None:
    """Take images the whole way to the report; continues where it stopped."""
    _study(config, out, only, dry_run, options.given(
        dataset=dataset, preset=preset, model=model, scheme=scheme, target=target,
        exclude=exclude, merge=merge, positive=positive, split_file=split_file,
        class_names=class_names, columns=columns, layout=layout,
        near_duplicates=near_duplicates, regroup=regroup, skip_bad=skip_bad, decisions=decisions,
        epochs=epochs, image_px=image_px, weights=weights, tune=tune, seed=seed,
        repeats=repeats, folds=folds,
        float_model=float_model, preprocess=preprocess, last_conv=last_conv,
        model_classes=model_classes, input_range=input_range, mean=mean, std=std, colour=colour,
        resize=resize, filter=filter, normalise=normalise, output_kind=output_kind,
        output=output_name, signature=signature, image_size=image_size,
        quantized_model=quantized_model))


def demo(out: Annotated[Path, typer.Option(help="The run folder.")] = Path("runs/demo")) -> None:
    """The whole way on synthetic breast ultrasound."""
    _study(None, out, None, False, {"preset": "demo"})


def train(run: options.Run) -> None:
    """Train the run's networks (reads and splits the data first where that is missing)."""
    _stage(run, "train")


def convert(run: options.Run) -> None:
    """Convert trained networks to float .tflite and check them against torch."""
    _stage(run, "convert")


def quantize(run: options.Run, only: options.Only = None) -> None:
    """Calibrate, and write every variant."""
    from bedside.runfolder import stored

    _stage(run, "quantize", only)
    output.table("", ["variant", "scheme", "MB", "status"],
                 [[v.id, v.scheme, f"{v.size_bytes / 1e6:.2f}",
                   v.status if v.status == "ok" else f"{v.status}: {v.reason}"]
                  for v in stored.every_variant(run)], {2})


def build(run: options.Run, only: options.Only = None) -> None:
    """Make what each target runs for each variant."""
    from bedside.flows import study

    _stage(run, "build", only)
    _need_targets(study.load(run).targets, run)


def evaluate(
    run: options.Run,
    target: Targets = None,
    only: options.Only = None,
    images: Annotated[int | None, typer.Option(
        min=1, help="At most so many images a cell, stratified by split and class.")] = None,
    json: options.Json = False,
) -> None:
    """Predict every image and time every build."""
    need_workbench()
    from bedside.flows import study
    from bedside.runfolder import layout, stored

    config = study.load(run)
    once = study.evaluation(run, config, target, images)
    with study.locked(run), Reporter() as progress:
        # For this once: the run's own targets and number of images stay in study.toml.
        study.through(run, once, "evaluate", only, progress, config)
    wanted = {layout.cell_name(v, t) for v, t in study.cells(run, once, only)}
    if json:
        output.print_json({"schema": 1, "rows": [
            m for m in stored.measurements(run)
            if layout.cell_name(m.variant, m.target) in wanted]})
    else:
        _results(run, wanted)
    _need_targets(once.targets, run)


def analyse(run: options.Run) -> None:
    """Compute the numbers behind every figure."""
    _stage(run, "analyse")


def report(run: options.Run) -> None:
    """Write report/index.html and the tables beside it."""
    from bedside.runfolder import layout

    _stage(run, "report")
    output.note(f"report: {layout.report_dir(run) / 'index.html'}")


def need_workbench() -> None:
    """Refuse what needs the workbench where it is not installed. Raises MissingComponent."""
    missing = [n for n in ("torch", "litert_torch", "litert_quantizer")
               if importlib.util.find_spec(n) is None]
    if missing:
        raise MissingComponent(f"this command needs {', '.join(missing)}, not installed here",
                               remedy="Install the workbench: pip install 'bedside[workbench]'.")


def _study(config: Path | None, out: Path, only: str | None, dry_run: bool,
           flags: dict[str, Any]) -> None:
    need_workbench()
    from bedside.flows import plan, resolve, study

    resolved = resolve.resolve(config, resolve.Flags(**flags), out)
    if dry_run:
        _print_plan(plan.plan(out, resolved, only))
        return
    with Reporter() as progress:
        page = study.run_study(out, resolved, only, progress)
    _results(out)
    _recommended(out)
    _repeated(out)
    output.note(f"report: {page}")
    _need_targets(resolved.targets, out)


def _stage(run: Path, name: str, only: str | None = None) -> None:
    """Run one stage; the stages before it run where they are missing."""
    need_workbench()
    from bedside.flows import study

    config = study.load(run)
    with study.locked(run), Reporter() as progress:
        study.through(run, config, name, only, progress)


def _print_plan(steps: list[Step]) -> None:
    output.table("", ["stage", "what", "estimate"],
                 [[s.stage, s.subject, "finished" if s.finished else duration(s.seconds)]
                  for s in steps], {2})
    left = sum(s.seconds for s in steps if not s.finished)
    output.say(f"about {duration(left)} on two cores (estimated)")


def _need_targets(names: tuple[str, ...], run: Path) -> None:
    """Once everything else is done, say what was asked for and is not installed here."""
    from bedside.flows.doctor import need_targets

    need_targets(names, run)


def _recommended(run: Path) -> None:
    """Print one line a target: what to use, and what the test images say of it."""
    from bedside.runfolder import stored

    for r in stored.recommendations(run).recommendations:
        reason = " ".join(r.why) if r.chosen is None or r.test is None else f"{r.test.text}."
        output.say(f"{r.target}: {f'use {r.chosen};' if r.chosen else 'none:'} {reason}")


def _repeated(run: Path) -> None:
    """Print what the repeats of a study found, one line a draw."""
    from bedside.core.repeats_text import sentences
    from bedside.runfolder import stored

    found = stored.repeats(run)
    for line in () if found is None else sentences(found):
        output.say(line)


def _results(run: Path, wanted: set[str] | None = None) -> None:
    """Print the measurements of a run as a table, decided at the locked threshold."""
    from bedside.runfolder import layout, stored

    rows = []
    # A cell that was just evaluated has no threshold yet, or an older one's.
    for m in stored.decided(run) if wanted is None else stored.measurements(run):
        if wanted is not None and layout.cell_name(m.variant, m.target) not in wanted:
            continue
        split = "test" if "test" in m.metrics else next(iter(m.metrics), "")
        values = m.metrics.get(split, {})
        rows.append([m.variant, m.target, m.status if m.status == "ok" else
                     f"{m.status}: {m.reason}", f"{m.size_bytes / 1e6:.2f}",
                     _estimate(values.get("accuracy")),
                     _estimate(values.get("auroc") or values.get("macro_auroc")),
                     f"{m.latency_ms.median:.1f}" if m.latency_ms else "—",
                     m.compute_dtype or "—"])
    how = "accuracy" if wanted is None else "accuracy, largest logit"
    output.table("", ["variant", "target", "status", "MB", f"{how} [95%]", "AUC [95%]", "ms",
                      "computes in"], rows, {3, 6})


def _estimate(value: Estimate | None) -> str:
    if value is None or value.value is None:
        return "—"
    return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}] n={value.n}"
