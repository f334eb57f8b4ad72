"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

Run = Annotated[Path, typer.Argument(help="A run folder.", metavar="RUN")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Only = Annotated[str | None, typer.Option(
    help="Glob over variants, targets or cells, as 'resnet34-*' or '*-int8@cpu'.")]
Profiles = Annotated[Path | None, typer.Option(
    help="A run folder, for device profiles of your own (RUN/targets).")]

# Data
Dataset = Annotated[Path, typer.Argument(
    help="A folder of classes, a CSV manifest, a MedMNIST .npz, or 'phantom'.")]
Decisions = Annotated[Path | None, typer.Option(
    help="What was decided after an audit (default: audit_decisions.toml in the run folder).")]
Exclude = Annotated[list[str] | None, typer.Option(help="Leave a class out.")]
Merge = Annotated[list[str] | None, typer.Option(help="Merge classes, as other=benign,normal.")]
Positive = Annotated[str | None, typer.Option(
    help="The positive class of a binary task (default: malignant where it exists).")]
SplitFile = Annotated[Path | None, typer.Option(help="A CSV with columns file,split.")]
ClassNames = Annotated[str | None, typer.Option(
    help="Names for the labels 0, 1, … of an .npz, as A,B.")]
Columns = Annotated[list[str] | None, typer.Option(
    help="Which columns of a table say what, as label=dx,patient=lesion_id,file=image_id+.jpg.")]
Layout = Annotated[str | None, typer.Option(
    help="What folders mean: auto (default, asks where unsure), classes or parts.")]
NearDuplicates = Annotated[str | None, typer.Option(
    help="Which images count as one: exact, strict, default or off.")]
Regroup = Annotated[bool, typer.Option(
    "--regroup", help="Move groups that a given split tears apart into one part.")]
SkipBad = Annotated[bool, typer.Option(
    "--skip-bad", help="Set unreadable images aside (they are listed).")]
Seed = Annotated[int | None, typer.Option(min=0, max=2**31 - 1, help="Seed of split and training.")]

# A model trained elsewhere
ModelClasses = Annotated[str | None, typer.Option(
    help="Its classes in its own order, as A,B; a single score is that of the last.")]
InputRange = Annotated[str | None, typer.Option(
    help="What it takes for a black and for a white pixel: 0,1, -1,1 or 0,255.")]
Mean = Annotated[str | None, typer.Option(
    help="What is subtracted after that, one number or one a channel.")]
Std = Annotated[str | None, typer.Option(help="What the difference is divided by.")]
Colour = Annotated[str | None, typer.Option(help="Order of three channels: rgb or bgr.")]
Resize = Annotated[str | None, typer.Option(
    help="How it was given images of another shape: stretch, fit (black borders) or crop.")]
Filter = Annotated[str | None, typer.Option(help="bilinear (default), nearest or area.")]
Normalise = Annotated[str | None, typer.Option(
    help="Divide by the largest value of the image's type (dtype, default) or by its own "
         "maximum (max).")]
OutputKind = Annotated[str | None, typer.Option(
    help="logits, probabilities, log-probabilities or sigmoids, where the file leaves it open.")]
OutputName = Annotated[str | None, typer.Option("--output", help="Which of several outputs.")]
Signature = Annotated[str | None, typer.Option(help="Which of several signatures.")]
ImageSize = Annotated[str | None, typer.Option(
    help="Height and width in pixels, where the file leaves them open, as 224,224.")]

# De-identification
KeepDates = Annotated[bool, typer.Option(
    "--keep-dates", help="Shift each patient's dates instead of removing them.")]
KeepDevice = Annotated[bool, typer.Option(
    "--keep-device", help="Let manufacturer, model and serial numbers stay.")]
KeepColumn = Annotated[list[str] | None, typer.Option(
    help="A CSV column that may stay; repeat for more.")]
DeidPixels = Annotated[bool, typer.Option(
    "--deid-pixels", help="Take text out of PNG and JPEG too (of DICOM always).")]
OwnKey = Annotated[Path | None, typer.Option(help="A key file of your own.")]

# Devices
Trust = Annotated[list[Path] | None, typer.Option(
    help="A public key that may sign (bedside.pub), besides those of the store; repeatable.")]
Store = Annotated[Path | None, typer.Option(
    help="Where bundles are installed (default: BEDSIDE_STORE, or this user's data folder).")]


def given(**flags: Any) -> dict[str, Any]:
    """Return the flags that were given, repeated ones as tuples."""
    return {name: tuple(value) if isinstance(value, list) else value
            for name, value in flags.items() if value not in (None, [])}
