"""Class activation maps over the image, a column a scheme."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from bedside.figures import style
from bedside.figures.base import FigureData

_OPACITY = 0.7


def draw(data: FigureData) -> Figure:
    """A row a case: the image, then the map of each scheme; IoU and correlation below each."""
    f = data.facts
    schemes = f["schemes"]
    count, columns = len(f["cases"]), len(schemes) + 1
    height, width = data.arrays["images"].shape[1:]
    left, gap = 0.116, 0.011
    cell = (1 - left - 0.005) / columns - gap
    tall = cell * style.WIDTH_IN * height / width
    total = count * (tall + 0.24) + 0.32
    figure = style.new_figure(total, layout=None)
    for row, case in enumerate(f["cases"]):
        bottom = (total - 0.3 - (row + 1) * tall - row * 0.24) / total
        _row_label(figure, case, bottom + tall / total / 2)
        image, mask = data.arrays["images"][row], data.arrays["masks"][row]
        for column in range(columns):
            axes = figure.add_axes((left + column * (cell + gap), bottom, cell, tall / total))
            style.bare(axes)
            label = schemes[column - 1] if column else None
            if label is None:
                axes.imshow(image, cmap="gray", vmin=0, vmax=255)
            else:
                axes.imshow(overlay(image, data.arrays[f"cams:{label}"][row]))
            style.outline(axes, mask, "white", 1.2)
            if row == 0:
                axes.set_title("image" if label is None else style.scheme_name(label),
                               loc="center", fontsize=9, weight="bold")
            if label is not None and label in case["agreement"]:
                row_facts = case["agreement"][label]
                axes.set_xlabel(f"IoU {_two(row_facts['iou'])}, r {_two(row_facts['correlation'])}",
                                fontsize=7.5, labelpad=2)
            elif label is not None:
                inside = case["lesion"][label]
                text = "" if inside is None else f"{100 * inside:.0f}% in the lesion"
                axes.set_xlabel(text, fontsize=7.5, labelpad=2)
    return figure


def _row_label(figure: Figure, case: dict[str, str], y: float) -> None:
    wrong = case["label"] != case["class"]
    verdict = f"called\n{case['class']}" if wrong else "called right"
    why = {"changes most": "changes most", "typical": "typical"}.get(case["why"], "")
    figure.text(0.005, y, f"{case['label']}\n{verdict}" + (f"\n({why})" if why else ""),
                fontsize=8, va="center", linespacing=1.4,
                color=style.WRONG if wrong else style.INK)


def overlay(image: npt.NDArray[np.uint8], plane: npt.NDArray[np.float32]
            ) -> npt.NDArray[np.uint8]:
    """The map in colour over the grey image, (H, W, 3); stronger where it is higher."""
    colour = mpl.colormaps["inferno"](plane)[..., :3]
    grey = np.repeat(image[..., None].astype(np.float64) / 255, 3, axis=2)
    weight = _OPACITY * plane[..., None]
    mixed: npt.NDArray[np.uint8] = np.rint(
        255 * ((1 - weight) * grey + weight * colour)).astype(np.uint8)
    return mixed


def _two(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}".replace("-", "−")


def caption(data: FigureData) -> str:
    """What to see."""
    f = data.facts
    found = "; ".join(f"{style.scheme_name(k)} IoU {_two(m['iou'])}, r {_two(m['correlation'])}"
                      for k, m in f["mean"].items())
    outlined = any(c["outlined"] for c in f["cases"])
    lesion = " The white line is the lesion as the dataset outlines it." if outlined else ""
    size = "×".join(str(v) for v in f["cam_shape"])
    return (f"Class activation maps of {f['model']} for the class FP32 predicts, {size} values "
            f"enlarged bilinearly, all on FP32's scale.{lesion} Agreement with FP32 on average: "
            f"{found} (IoU of the parts above half of each map's range, r the correlation). The "
            "cases are those that quantization changes most, wrong ones and typical ones.")
