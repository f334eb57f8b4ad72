"""Write the golden vectors of preprocessing: ``python tests/golden/make.py``.

Portable on purpose (PNG and JSON), so that the web app is held to the same ones. Each entry of
``golden.json`` names an input, a size and a number of channels, and gives the resized pixels as
base64 of uint8 or little-endian uint16, row by row, with their maximum. ``resize`` stands where it
is not ``bilinear``.

Also ``bundle.zip``, signed by the key in ``bundle.json``, and ``judged.json``: outputs and pixels
with the answer that Python gives.
"""

from __future__ import annotations

import base64
import io
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, get_args

import numpy as np
from PIL import ExifTags, Image, PngImagePlugin

from bedside.core.types import Preprocess, Resize
from bedside.runtime.preprocess import decode, resize

HERE = Path(__file__).parent
SIZES = ((24, 24), (17, 40), (64, 57))
# The other ways to resize, on fewer inputs: name and channels.
OTHERS = tuple(r for r in get_args(Resize) if r != "bilinear")
OTHERS_OF = {"grey8": 1, "grey16": 1, "rgb": 3, "line": 1}


def _texture(rng: np.random.Generator, height: int, width: int, planes: int) -> np.ndarray:
    """Smooth shapes, an edge and noise, in [0, 1]: (height, width, planes)."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    layers = [0.4 + 0.3 * np.sin(rng.uniform(4, 25) * x + rng.uniform(4, 25) * y)
              + 0.2 * (np.hypot(x - 0.4, y - 0.3) < 0.2) for _ in range(planes)]
    return np.clip(np.stack(layers, -1) + rng.normal(0, 0.08, (height, width, planes)), 0, 0.97)


def inputs() -> dict[str, Image.Image]:
    """The pictures by name: every kind that a data set may hold, odd sizes included."""
    rng = np.random.default_rng(2022)
    grey = np.rint(_texture(rng, 61, 47, 1)[..., 0] * 255).astype(np.uint8)
    deep = np.rint(_texture(rng, 53, 71, 1)[..., 0] * 65535).astype(np.uint16)
    colour = np.rint(_texture(rng, 40, 63, 3) * 255).astype(np.uint8)
    alpha = np.rint(_texture(rng, 37, 45, 4) * 255).astype(np.uint8)
    tiny = np.rint(_texture(rng, 9, 13, 1)[..., 0] * 255).astype(np.uint8)
    large = np.rint(_texture(rng, 301, 211, 1)[..., 0] * 180).astype(np.uint8)
    return {
        "grey8": Image.fromarray(grey),
        "grey16": Image.fromarray(deep),
        "rgb": Image.fromarray(colour),
        "rgba": Image.fromarray(alpha),
        "palette": Image.fromarray(colour).quantize(32),
        "black_and_white": Image.fromarray(grey).convert("1"),
        "tiny": Image.fromarray(tiny),
        "large_dim": Image.fromarray(large),
        "line": Image.fromarray(grey[:1]),
        "exif_turned": Image.fromarray(grey[:23, :31]),
        "xmp_not_turned": Image.fromarray(grey[:23, :31]),
    }


XMP = '<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'


def said() -> dict[str, dict[str, Any]]:
    """What is saved beside the pixels: EXIF turns an image, what XMP says of it does not."""
    exif, xmp = Image.Exif(), PngImagePlugin.PngInfo()
    exif[ExifTags.Base.Orientation] = 6
    xmp.add_itxt("XML:com.adobe.xmp", XMP)
    return {"exif_turned": {"exif": exif}, "xmp_not_turned": {"pnginfo": xmp}}


def _entry(name: str, data: bytes, spec: Preprocess) -> dict[str, Any]:
    small = resize(decode(data, spec.channels), spec)
    return {"input": f"{name}.png", "channels": spec.channels, "shape": list(small.shape),
            "dtype": small.dtype.name, "max": int(small.max()),
            "pixels": base64.b64encode(
                small.astype(small.dtype.newbyteorder("<")).tobytes()).decode()}


def main() -> None:
    entries: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for name, image in inputs().items():
        buffer = io.BytesIO()
        image.save(buffer, "PNG", **said().get(name, {}))
        (HERE / f"{name}.png").write_bytes(buffer.getvalue())
        for height, width in SIZES:
            entries += [_entry(name, buffer.getvalue(), Preprocess(height, width, channels))
                        for channels in (1, 3)]
        for height, width in SIZES[:2] if name in OTHERS_OF else ():
            others += [_entry(name, buffer.getvalue(), Preprocess(
                height, width, OTHERS_OF[name], how)) | {"resize": how} for how in OTHERS]
    entries += others
    (HERE / "golden.json").write_text(json.dumps(entries, indent=1) + "\n")
    sys.path.insert(0, str(HERE.parent / "support"))
    import bundle_fixture

    with tempfile.TemporaryDirectory() as folder:
        data, public = bundle_fixture.golden(Path(folder))
    (HERE / "bundle.zip").write_bytes(data)
    (HERE / "bundle.json").write_text(json.dumps({"public_key": public.hex()}) + "\n")
    (HERE / "judged.json").write_text(json.dumps(bundle_fixture.judged(), indent=1) + "\n")


if __name__ == "__main__":
    main()
