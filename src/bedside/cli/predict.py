"""``predict``: images answered on this device."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bedside.cli import output
from bedside.cli.options import Json, Store, Trust


def predict(
    bundle: Annotated[Path, typer.Argument(
        help="A bundle (file, installed id or 'active'), or a folder under RUN/variants.")],
    images: Annotated[list[Path], typer.Argument(
        help="Images (PNG, JPEG, BMP, TIFF, DICOM), folders of them, or - for standard input.")],
    cam: Annotated[Path | None, typer.Option(
        help="Write each image with its class activation map as a PNG into this folder.")] = None,
    threads: Annotated[int | None, typer.Option(
        min=1, max=256, help="CPU threads (default: the bundle's, else 2).")] = None,
    trust: Trust = None,
    store: Store = None,
    json: Json = False,
) -> None:
    """Answer images on this device, after verification and self-test."""
    from bedside.flows.predict import predict as answer
    from bedside.runtime.bundle.manifest import NOTICE

    result = answer(bundle, images, threads=threads, cam=cam, trust=tuple(trust or ()), store=store)
    if json:
        output.print_json({"schema": 1, **result.facts, "answers": result.answers,
                           "notice": NOTICE})
        return
    output.table("", ["image", "class", "probability", "remarks"],
                 [[Path(a.image).name, a.predicted or "no answer",
                   "—" if a.probability is None else f"{a.probability:.3f}",
                   "; ".join(filter(None, (a.withheld, *a.warnings))) or "—"]
                  for a in result.answers], {2})
    output.note(result.remark)
    output.note(NOTICE)
