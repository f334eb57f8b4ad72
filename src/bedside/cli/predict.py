"""``predict``: images answered on this device."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bedside.cli import output
from bedside.cli.options import Json, Store, Trust
from bedside.core.errors import BadInput
from bedside.core.text import plural


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
    if len(result.failed) == 1 and not result.answers:
        only = result.failed[0]
        raise BadInput(only.fault, where=only.image, remedy=only.remedy)
    if json:
        output.print_json({"schema": 1, **result.facts, "answers": result.answers,
                           "failed": result.failed, "notice": NOTICE})
    else:
        output.table("", ["image", "class", "probability", "remarks"], [
            *([Path(a.image).name, a.predicted or "no answer",
               "—" if a.probability is None else f"{a.probability:.3f}",
               "; ".join(filter(None, (a.withheld, *a.warnings))) or "—"]
              for a in result.answers),
            *([Path(f.image).name, "failed", "—", f.fault] for f in result.failed)], {2})
        if result.masks:
            output.note(f"{plural(result.masks, 'lesion mask')} (_mask) left out")
        output.note(result.remark)
        output.note(NOTICE)
    if result.failed:
        first = result.failed[0]
        raise BadInput(f"{plural(len(result.failed), 'image')} without an answer; the first: "
                       f"{first.fault}", where=first.image,
                       remedy=first.remedy or "Repair or remove the file.")
