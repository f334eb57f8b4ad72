"""``export``: a variant in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bedside.cli import output
from bedside.cli.options import Json


def export(
    variant: Annotated[Path, typer.Argument(help="A variant's folder in a run.")],
    out: Annotated[Path, typer.Option(help="A new folder for the files and contract.json.")],
    format_: Annotated[str, typer.Option("--format", help="onnx.")] = "onnx",
    json: Json = False,
) -> None:
    """Write a variant in another format, checked on images, with a contract beside it."""
    from bedside.flows.export import export as write

    contract = write(variant, format_, out)
    if json:
        output.print_json(contract)
        return
    parity = contract["parity"]
    output.say(f"{out / contract['main']}: {contract['variant']} as {contract['format']}; on "
               f"{parity['images']} images its logits differ by "
               f"{parity['largest_logit_difference']:.1e} at most ({parity['runtime']})")
    output.say(f"{out / 'contract.json'}: input range, preprocessing, classes in order")
