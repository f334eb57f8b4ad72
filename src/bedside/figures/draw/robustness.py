"""AUC on ever worse images, float32 and integer variants, a panel a kind."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from bedside.figures import style
from bedside.figures.base import FigureData

NAMES = {"speckle": "speckle", "gain": "gain", "blur": "blur", "jpeg": "JPEG quality",
         "rotation": "rotation"}
WORDS = {"shown": "no faster", "not shown": "cannot tell", "worse": "faster"}


def draw(data: FigureData) -> Figure:
    """Points with 95% intervals; the leftmost of each panel is the clean image."""
    f = data.facts
    figure = style.new_figure(3.0)
    every = figure.subplots(1, len(f["kinds"]), sharey=True, squeeze=False)[0]
    for axes, kind in zip(every, f["kinds"], strict=True):
        count = len(f["schemes"])
        for k, label in enumerate(f["schemes"]):
            shift = 0.16 * (k - (count - 1) / 2)
            own = [f["values"][label]["clean"], *f["values"][label][kind["kind"]]]
            x = [p + shift for p in range(len(own))]
            for place, e in zip(x, own, strict=True):
                axes.plot([place] * 2, [e["low"], e["high"]], "-", lw=1, alpha=0.5,
                          color=style.scheme_colour(label))
            axes.plot(x, [e["value"] for e in own], "oos^"[k % 4] + "-", ms=4,
                      color=style.scheme_colour(label),
                      mfc=None if k == 0 else "white", label=style.short_name(label))
        axes.set_xticks(range(len(kind["strengths"]) + 1), ["clean", *(
            _strength(s, kind) for s in kind["strengths"])], fontsize=7)
        axes.set_title(NAMES.get(kind["kind"], kind["kind"]))
        style.grid(axes)
    every[0].set_ylabel("AUC" if f["metric"] == "auroc" else "accuracy")
    figure.legend(*every[0].get_legend_handles_labels(), loc="outside lower center",
                  ncols=len(f["schemes"]))
    return figure


def _strength(value: float, kind: dict[str, Any]) -> str:
    sign = "+" if kind["kind"] == "gain" and value > 0 else ""
    return f"{sign}{value:g}".replace("-", "−") + str(kind["unit"]).replace(" ", "\u202f")


def caption(data: FigureData) -> str:
    """What to see: whether the integer variant loses more."""
    f = data.facts
    what = "AUC" if f["metric"] == "auroc" else "accuracy"
    groups: dict[str, list[str]] = {}
    for t in f["tests"]:
        word = WORDS[t["answer"]]
        groups.setdefault(word, []).append(
            f"{NAMES.get(t['kind'], t['kind'])} ({style.short_name(t['scheme'])})")
    told = "; ".join(f"{w}: {', '.join(v)}" for w, v in groups.items())
    whole = " ".join(_overall(t, f["metric"]) for t in f["overall"])
    return (f"{what} of {f['model']} on {style.plural(f['n'], 'validation image')} made worse, "
            "with 95% intervals; the test images are not touched. Does the integer variant fall "
            f"faster than FP32, over all kinds and strengths? {whole} By kind, adjusted together "
            f"after Holm: {told}. “Cannot tell” means that this many images neither prove a "
            f"faster fall nor exclude one of {f['margin']:g}.")


def _overall(found: dict[str, Any], metric: str) -> str:
    """``int8: no faster, …`` with the interval, and what would tell where it is open."""
    d, scale = found["test"]["difference"], 1 if metric == "auroc" else 100
    name, word = style.short_name(found["scheme"]), WORDS[found["answer"]]
    if d["value"] is None:
        return f"{name}: {found['test']['reason']}."
    value, low, high = (f"{scale * d[k]:+.3f}".replace("-", "−") for k in ("value", "low", "high"))
    unit = "" if scale == 1 else " points"
    more = (f"; about {found['needed']:,} such images would tell" if found["needed"] else "")
    return f"{name}: {word}, {value}{unit} beside FP32’s own fall [{low}, {high}]{more}."
