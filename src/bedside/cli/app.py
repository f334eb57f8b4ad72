"""The command line: it parses, and calls one function of the API each. No logic."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from bedside import __version__
from bedside.cli import (
    output,
    parse_app,
    parse_audit,
    parse_card,
    parse_choice,
    parse_device,
    parse_help,
    parse_import,
    parse_quant,
    parse_targets,
)
from bedside.cli import (
    run as commands,
)
from bedside.cli.options import (
    ClassNames,
    Decisions,
    Exclude,
    Json,
    Merge,
    Only,
    Positive,
    Regroup,
    Run,
    Seed,
    SkipBad,
    SplitFile,
)
from bedside.core.errors import EXIT_STOPPED, BedsideError

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False,
    help="From labelled medical images to a quantized CNN shown to be safe and fast on the "
         "device that will run it. Research software, not a medical device.")

def _version(value: bool) -> None:
    if value:
        print(f"bedside {__version__}")
        raise typer.Exit


@app.callback()
def _main(version: Annotated[bool, typer.Option(
        "--version", callback=_version, is_eager=True, help="Print the version.")] = False
          ) -> None:
    del version


@app.command()
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
    target: Annotated[list[str] | None, typer.Option(help="A target; repeat for more.")] = None,
    only: Only = None,
    dry_run: Annotated[bool, typer.Option(
        "--dry-run", help="Print the stages with a time estimate, and stop.")] = False,
    skip_bad: SkipBad = False,
    exclude: Exclude = None,
    merge: Merge = None,
    positive: Positive = None,
    split_file: SplitFile = None,
    class_names: ClassNames = None,
    regroup: Regroup = False,
    decisions: Decisions = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs for every network.")] = None,
    image_px: Annotated[int | None, typer.Option(
        min=32, max=1024, help="Image side for every network, pixels.")] = None,
    weights: Annotated[Path | None, typer.Option(
        help="Pretrained weights, .safetensors with torchvision's names.")] = None,
    tune: Annotated[int | None, typer.Option(
        min=0, help="Trials of learning rate, weight decay and augmentation.")] = None,
    seed: Seed = None,
    float_model: Annotated[Path | None, typer.Option(
        help="A float .tflite trained elsewhere.")] = None,
    preprocess: Annotated[Path | None, typer.Option(
        help="A TOML with that model's preprocessing.")] = None,
    last_conv: Annotated[str | None, typer.Option(
        help="That model's last convolution layer, for the figures.")] = None,
) -> None:
    """Take images the whole way to the report; continues where it stopped."""
    commands.run(config, out, only, dry_run, {
        "dataset": dataset, "preset": preset, "model": model, "scheme": scheme, "target": target,
        "exclude": exclude, "merge": merge, "positive": positive, "split_file": split_file,
        "class_names": class_names, "regroup": regroup, "skip_bad": skip_bad,
        "decisions": decisions, "epochs": epochs, "image_px": image_px, "weights": weights,
        "tune": tune, "seed": seed, "float_model": float_model, "preprocess": preprocess,
        "last_conv": last_conv})


@app.command()
def demo(out: Annotated[Path, typer.Option(help="The run folder.")] = Path("runs/demo")) -> None:
    """The whole way on synthetic breast ultrasound."""
    commands.run(None, out, None, False, {"preset": "demo"})


@app.command()
def deid(
    src: Annotated[Path, typer.Argument(help="A folder of DICOM, pictures and CSV tables.")],
    out: Annotated[Path, typer.Option(help="Receives clean files and the ledger.")],
    private: Annotated[Path, typer.Option(
        help="Receives the key, the way back and what a person must look at.")],
    keep_dates: Annotated[bool, typer.Option(
        "--keep-dates", help="Shift each patient's dates instead of removing them.")] = False,
    keep_device: Annotated[bool, typer.Option(
        "--keep-device", help="Let manufacturer, model and serial numbers stay.")] = False,
    keep_name: Annotated[list[str] | None, typer.Option(
        help="A folder name that may stay besides the usual classes; repeat for more.")] = None,
    keep_column: Annotated[list[str] | None, typer.Option(
        help="A CSV column that may stay; repeat for more.")] = None,
    deid_pixels: Annotated[bool, typer.Option(
        "--deid-pixels", help="Take text out of PNG and JPEG too (of DICOM always).")] = False,
    accept_unchecked_pixels: Annotated[bool, typer.Option(
        "--accept-unchecked-pixels", help="Do not look for text in images; pass them.")] = False,
    key: Annotated[Path | None, typer.Option(help="A key file of your own.")] = None,
    json: Json = False,
) -> None:
    """De-identify a folder; originals stay as they are."""
    commands.deid(src, out, private, key, json, {
        "keep_dates": keep_dates, "keep_device": keep_device, "keep_name": keep_name,
        "keep_column": keep_column, "deid_pixels": deid_pixels,
        "accept_unchecked_pixels": accept_unchecked_pixels})


@app.command()
def train(run: Run) -> None:
    """Train the run's networks (reads and splits the data first where that is missing)."""
    commands.stage(run, "train")


@app.command()
def convert(run: Run) -> None:
    """Convert trained networks to float .tflite and check them against torch."""
    commands.stage(run, "convert")


@app.command()
def quantize(run: Run, only: Only = None) -> None:
    """Calibrate, and write every variant."""
    commands.stage(run, "quantize", only=only)


@app.command()
def build(run: Run, only: Only = None) -> None:
    """Make what each target runs for each variant."""
    commands.stage(run, "build", only=only)


@app.command()
def evaluate(
    run: Run,
    target: Annotated[list[str] | None, typer.Option(help="A target; repeat for more.")] = None,
    only: Only = None,
    images: Annotated[int | None, typer.Option(
        min=1, help="At most so many images a cell, stratified by split and class.")] = None,
    json: Json = False,
) -> None:
    """Predict every image and time every build."""
    commands.evaluate(run, target, only, images, json)


@app.command()
def analyse(run: Run) -> None:
    """Compute the numbers behind every figure."""
    commands.stage(run, "analyse")


@app.command()
def report(run: Run) -> None:
    """Write report/index.html and the tables beside it."""
    commands.stage(run, "report")


parse_device.register(app)


parse_app.register(app)


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(help="models, schemes, targets or metrics.")],
    json: Json = False,
) -> None:
    """List what can be chosen."""
    commands.list_known(what, json)


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(help="A run, or any stage folder in it.")],
    json: Json = False,
) -> None:
    """Show what a folder holds and check its hashes."""
    commands.show(folder, json)


parse_targets.add(app)
parse_import.register(app)
parse_quant.add(app)
parse_audit.register(app)
parse_card.register(app)
parse_choice.register(app)
parse_help.group(app)


def main(argv: list[str] | None = None) -> None:
    """Entry point: every failure is one line and an exit code of the contract."""
    sys.exit(_guarded(argv))


def _guarded(argv: list[str] | None) -> int:
    try:
        result: Any = app(argv, standalone_mode=False)
        # Here, as at the interpreter's end a reader that has gone is exit code 120.
        sys.stdout.flush()
    except BedsideError as error:
        output.fault(error.message)
        return error.exit_code
    except KeyboardInterrupt:
        return commands.stopped()
    except BrokenPipeError:
        return _unheard()
    except SystemExit as stop:
        # What click and Rich make of a pipe whose reader has gone; 1 means a failed gate.
        if isinstance(stop.__context__, BrokenPipeError):
            return _unheard()
        raise
    except Exception as error:
        return commands.unexpected(error)
    # Typer makes an exit code of Ctrl-C.
    if result == EXIT_STOPPED:
        return commands.stopped()
    return result if isinstance(result, int) else 0


def _unheard() -> int:
    """Nobody reads standard output any longer, as after ``head``: no fault of the command's."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    main()
