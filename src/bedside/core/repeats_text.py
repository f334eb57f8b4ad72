"""Repeats of a study as plain text, for the terminal and the report."""

from __future__ import annotations

from bedside.core.repeats import Draw, Repeats, Spread
from bedside.core.text import plural

DRAWS: dict[Draw, str] = {"seed": "training seed", "split": "split",
                          "calibration": "calibration draw"}
MAIN = ("auroc", "macro_auroc")


def baselines(found: Repeats) -> list[Spread]:
    """Return the spreads of AUC of every float32 variant, by draw as :data:`DRAWS`."""
    return [s for d in DRAWS for s in found.spreads
            if s.draw == d and s.quantity == "value" and s.metric in MAIN
            and "float32" in s.variant]


def largest_change(found: Repeats, draw: Draw) -> Spread | None:
    """Return the spread of the AUC difference from float32 that varies most in one draw."""
    able = [s for s in found.spreads if s.draw == draw and s.quantity == "difference"
            and s.metric in MAIN and s.sd.value is not None]
    return max(able, key=lambda s: s.sd.value or 0.0, default=None)


def spread_text(spread: Spread) -> str:
    """Return ``0.932 ± 0.012 (0.918 to 0.951)``: mean, SD and extremes."""
    sign = "+" if spread.quantity == "difference" else ""
    sd = "" if spread.sd.value is None else f" ± {spread.sd.value:.3f}"
    if len(spread.values) < 2:
        return f"{spread.mean.value:{sign}.3f}"
    return (f"{spread.mean.value:{sign}.3f}{sd} ({min(spread.values):{sign}.3f} to "
            f"{max(spread.values):{sign}.3f})")


def sentences(found: Repeats) -> list[str]:
    """Return one sentence a draw and float32 model, then the failures."""
    lines = []
    for s in baselines(found):
        if s.draw == "calibration":
            continue  # float32 is not calibrated
        own = "" if s.study is None else f"; this study's is {s.study:.3f}"
        lines.append(f"{plural(len(s.values), f'other {DRAWS[s.draw]}')}: AUC of {s.variant} "
                     f"{spread_text(s)}{own}.")
    for draw, name in DRAWS.items():
        change = largest_change(found, draw)
        if change is not None:
            lines.append(f"AUC change of {change.variant} over {name}s: "
                         f"{spread_text(change)}.")
    lines += [f"inferior to float32: {v.variant} in {v.worse} of "
              f"{v.shown + v.not_shown + v.worse} ({DRAWS[v.draw]})."
              for v in found.verdicts if v.worse]
    failed = [u for u in found.units if u.status == "failed"]
    lines += [f"{u.unit.name} failed: {u.reason}" for u in failed]
    return lines

