"""Reading a variant's folder on a device: ``variant.json`` and its ``.tflite``."""

from __future__ import annotations

import hashlib
from pathlib import Path

from bedside.core import codec
from bedside.core.build import Variant
from bedside.core.errors import BadInput

VARIANT = "variant.json"


def read_variant(folder: Path) -> tuple[Variant, bytes]:
    """Return a variant and its model's bytes, compared with the recorded SHA-256.

    Raises:
        BadInput: not a variant's folder, or the model file was changed.
    """
    path = folder / VARIANT
    if not path.is_file():
        raise BadInput("not a variant's folder (no variant.json)", where=folder,
                       remedy="Give a folder under RUN/variants, or a bundle.")
    variant = codec.read_json(Variant, path)
    if variant.status != "ok":
        raise BadInput(f"the variant failed: {variant.reason}", where=folder,
                       remedy="Choose another variant.")
    if Path(variant.file).name != variant.file:
        raise BadInput("the model file lies outside the folder", where=path,
                       remedy="Get the folder from its source again.")
    model_file = folder / variant.file
    data = model_file.read_bytes() if model_file.is_file() else b""
    if hashlib.sha256(data).hexdigest() != variant.sha256:
        raise BadInput("the model file is missing or differs from its SHA-256", where=model_file,
                       remedy="Get the folder from its source again.")
    return variant, data
