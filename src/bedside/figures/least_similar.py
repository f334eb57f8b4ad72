"""The class activation maps least like float32's: choice, images and drawing."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import SubFigure

from bedside.core.types import Case
from bedside.figures import input_images, inputs, style
from bedside.figures.base import FigureData
from bedside.figures.cam import IMAGE_PX, overlay, scaled, upsample
from bedside.figures.input_images import shrink
from bedside.figures.inputs import Real
from bedside.runtime.litert import CAM, LOGITS, LiteRTModel
from bedside.runtime.pixels import PixelStore

WORST = 4


def choose(seen: list[tuple[float, str, int]]) -> list[tuple[float, str, int]]:
    """Return the least similar maps (similarity, scheme, case), each image once."""
    chosen: dict[int, tuple[float, str, int]] = {}
    for entry in sorted(seen):
        chosen.setdefault(entry[2], entry)
    return list(chosen.values())[:WORST]


def planes(models: dict[str, LiteRTModel], tensor: Real) -> dict[str, Real]:
    """Compute every scheme's map (h, w) of the class that the original predicts."""
    outputs = {k: m.run(tensor) for k, m in models.items()}
    index = int(outputs[inputs.ORIGINAL][LOGITS][0].argmax())
    return {k: o[CAM][0, :, :, index] for k, o in outputs.items()}


def images(models: dict[str, LiteRTModel], store: PixelStore, cases: list[Case],
           lesions: list[npt.NDArray[np.bool_] | None], worst: list[tuple[float, str, int]]
           ) -> dict[str, npt.NDArray[Any]]:
    """Return the figure's arrays of the chosen maps, see :func:`bedside.figures.fidelity.compute`.

    Args:
        models: by scheme, float32's included.
        store: the pixels.
        cases: every case of the figure.
        lesions: their outlines, None where a case has none.
        worst: from :func:`choose`.
    """
    arrays: dict[str, list[npt.NDArray[Any]]] = {"images": [], "masks": [], "before": [],
                                               "after": []}
    for _, label, number in worst:
        grey = input_images.to_grey(store.pixels(cases[number].id))
        pair = {k: models[k] for k in (inputs.ORIGINAL, label)}
        ranged = scaled({k: upsample(p, grey.shape) for k, p in planes(
            pair, store.tensor(cases[number].id)).items()})
        lesion = lesions[number]
        outline = np.zeros(grey.shape, np.bool_) if lesion is None else lesion
        arrays["images"].append(np.rint(shrink(grey[None], IMAGE_PX)[0]).astype(np.uint8))
        arrays["masks"].append(shrink(outline[None].astype(np.float32), IMAGE_PX)[0] > 0.5)
        arrays["before"].append(shrink(ranged[inputs.ORIGINAL][None], IMAGE_PX)[0])
        arrays["after"].append(shrink(ranged[label][None], IMAGE_PX)[0])
    return {k: np.stack(v) for k, v in arrays.items() if v}


def draw(figure: SubFigure, data: FigureData) -> None:
    """Draw each chosen image with both maps."""
    worst = data.facts["worst"]
    axes = figure.subplots(-(-len(worst) // 2), 6, squeeze=False)
    for row in axes:
        for one in row:
            style.bare(one)
    for k, case in enumerate(worst):
        three = axes[k // 2][3 * (k % 2):3 * (k % 2) + 3]
        image, mask = data.arrays["images"][k], data.arrays["masks"][k]
        three[0].imshow(image, cmap="gray", vmin=0, vmax=255)
        for one, name in zip(three[1:], ("before", "after"), strict=True):
            one.imshow(overlay(image, data.arrays[name][k]))
        for one in three:
            style.outline(one, mask, "white", 1.0)
        three[0].set_title(case["label"][:14], loc="center", fontsize=8)
        three[1].set_title("FP32", loc="center", fontsize=8)
        three[2].set_title(style.short_name(case["scheme"])[:14], loc="center", fontsize=8)
        three[2].set_xlabel(f"SSIM {case['ssim']:.2f}".replace("-", "−"), fontsize=7.5)
