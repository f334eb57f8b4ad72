"""Figure 5: images of each class with the lesion outlined."""

from __future__ import annotations

from matplotlib.figure import Figure

from bedside.figures import style
from bedside.figures.base import FigureData


def draw(data: FigureData) -> Figure:
    """A row of images a class."""
    classes = data.facts["classes"]
    rows = [[i for i, c in enumerate(data.facts["cases"]) if c["label"] == name]
            for name in classes]
    columns = max(len(r) for r in rows)
    height, width = data.arrays["images"].shape[1:]
    cell = (style.WIDTH_IN - 0.5) / columns
    figure = style.new_figure(len(classes) * (cell * height / width + 0.28))
    grid = figure.subplots(len(classes), columns, squeeze=False)
    for axes in grid.flat:
        style.bare(axes)
    for row, indices in enumerate(rows):
        for column, index in enumerate(indices):
            axes = grid[row, column]
            axes.imshow(data.arrays["images"][index], cmap="gray", vmin=0, vmax=255)
            style.outline(axes, data.arrays["masks"][index], style.MARK, 1.3)
            case = data.facts["cases"][index]
            extra = [f"{case['size_mm']:.0f} mm"] if case["size_mm"] is not None else []
            extra += [f"{case['age']:.0f} y"] if case["age"] is not None else []
            if extra:
                axes.set_xlabel(", ".join(extra), fontsize=8, labelpad=2)
        grid[row, 0].set_ylabel(f"{classes[row]}\nn = {data.facts['counts'][classes[row]]}",
                                fontsize=9)
    return figure


def caption(data: FigureData) -> str:
    """What to see."""
    f = data.facts
    counts = ", ".join(f"{n} {name}" for name, n in f["counts"].items())
    outlined = sum(1 for c in f["cases"] if c["outlined"])
    masks = (f"Red: the lesion as the dataset's masks outline it "
             f"({outlined} of the {len(f['cases'])} shown)." if outlined
             else "The dataset gives no lesion masks for these images.")
    return (f"Images of each class as the networks see them, before the division by the maximum "
            f"(the paper's Figure 5); the study uses {counts}. {masks}")
