"""``inspect`` and ``import-model``: models, and data sets, as they come from elsewhere."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated

import typer

from bedside.cli import options, output
from bedside.cli.options import Json

if TYPE_CHECKING:
    from bedside.core.contract import Contract
    from bedside.flows.inspect_model import Inspection


def inspect(
    path: Annotated[Path, typer.Argument(
        help="A model file, a folder of images, a table (.csv, .tsv, .xlsx) or a MedMNIST .npz.",
        metavar="PATH")],
    json: Json = False,
) -> None:
    """Say what a model file or a data set is taken for, and what is still to be said."""
    from bedside.flows.inspect_model import inspect_model, is_data

    if is_data(path):
        from bedside.flows import inspect_data

        found = inspect_data.inspect_data(path)
        if json:
            output.print_json(found)
            return
        for line in inspect_data.lines(found):
            output.say(line)
        return
    model = inspect_model(path)
    if json:
        output.print_json(model)
    else:
        _print_model(model)


def import_model(
    model: Annotated[Path, typer.Argument(help="A float classifier, .tflite or .onnx.")],
    out: Annotated[Path, typer.Option(help="Receives the normalised model and contract.toml.")],
    preprocess: Annotated[Path | None, typer.Option(
        help="A TOML with the model's preprocessing, in place of the flags.")] = None,
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
    json: Json = False,
) -> None:
    """Write a foreign classifier as a float .tflite of this project, with its contract."""
    from bedside.flows.declared import declared_of
    from bedside.flows.inspect_model import import_model as write

    flags = SimpleNamespace(
        model_classes=model_classes, input_range=input_range, mean=mean, std=std, colour=colour,
        resize=resize, filter=filter, normalise=normalise, output_kind=output_kind,
        output=output_name, signature=signature, image_size=image_size)
    file, contract, parity = write(model, out, declared_of(flags), preprocess)
    if json:
        output.print_json({"file": str(file), "contract": contract, "parity": parity})
        return
    _print_contract(contract)
    output.say(f"{parity.images} synthetic images: {parity.classes_differ} change class, "
               f"probabilities differ by at most {parity.largest_difference:.1g}")
    output.note(f"model: {file}")


def _print_contract(contract: Contract) -> None:
    low, high = contract.input_range
    rows = [["classes", ", ".join(contract.classes), contract.origin.get("classes", "")],
            ["input range", f"{low:g} to {high:g}", contract.origin.get("input_range", "")],
            ["mean, std", f"{list(contract.mean) or 0}, {list(contract.std) or 1}", ""],
            ["colour", contract.colour, contract.origin.get("colour", "")],
            ["resize", contract.preprocess.resize, contract.origin.get("resize", "")],
            ["output", contract.output_kind, contract.origin.get("output_kind", "")]]
    output.table("", ["contract", "value", "from"], rows)
    for change in contract.changes:
        output.say(f"changed: {change}")


def _print_model(found: Inspection) -> None:
    rows = [["precision", found.precision],
            ["operators", ", ".join(f"{n} {c}" for n, c in found.operators.items())],
            ["signatures", ", ".join(found.signatures) or "none"]]
    rows += [[f"input {t.name}", f"{list(t.shape)} {t.dtype}"] for t in found.inputs]
    rows += [[f"output {t.name}", f"{list(t.shape)} {t.dtype}"] for t in found.outputs]
    rows += [["output kind", f"{found.output_kind or 'not known'} ({found.output_from})"],
             ["labels", f"{', '.join(found.labels)} ({found.labels_from})" if found.labels
              else "none"],
             ["metadata", "; ".join(found.metadata) or "none"]]
    output.table("", [found.file, f"{found.size_bytes / 1e6:.2f} MB"], rows)
    for problem in found.problems:
        output.say(f"cannot be imported: {problem}")
    if found.needed:
        output.say(f"import-model will ask for: {' '.join(found.needed)}")
