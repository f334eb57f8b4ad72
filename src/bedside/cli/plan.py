"""``plan-study``: how many cases a study needs before anything is collected or trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bedside.cli import output
from bedside.cli.options import Json
from bedside.core.errors import BadInput
from bedside.core.text import count, percent

if TYPE_CHECKING:
    from bedside.metrics.planning import Assumptions, Planned

# Short, so that the table fits 80 columns.
NAMES = {"sensitivity": "sens.", "miss_ratio": "ratio", "specificity": "spec.", "auroc": "AUC"}


def plan_study(
    prevalence: Annotated[float, typer.Option(
        help="Share of positive images, above 0 and below 1.", metavar="SHARE")],
    discordance: Annotated[str, typer.Option(
        help="Expected share of images whose decision differs from float32's, as 0.01..0.03.",
        metavar="LOW..HIGH")],
    sensitivity_margin: Annotated[float, typer.Option(
        help="Largest loss of sensitivity that does not matter.", metavar="M")] = 0.02,
    specificity_margin: Annotated[float, typer.Option(
        help="The same of specificity.", metavar="M")] = 0.05,
    auc_margin: Annotated[float, typer.Option(
        help="The same of the AUC.", metavar="M")] = 0.02,
    miss_ratio_margin: Annotated[float, typer.Option(
        help="How many times as many positives may be missed; 0 for no such margin.",
        metavar="R")] = 2.0,
    sensitivity: Annotated[float, typer.Option(
        help="Float32's sensitivity at its threshold.", metavar="SHARE")] = 0.9,
    specificity: Annotated[float, typer.Option(
        help="Float32's specificity there.", metavar="SHARE")] = 0.9,
    cases_per_patient: Annotated[float, typer.Option(
        help="Mean number of images per patient.", metavar="N")] = 1.0,
    correlation: Annotated[float, typer.Option(
        help="How far decisions of one patient's images change together, 0 to 1.",
        metavar="R")] = 0.5,
    targets: Annotated[int, typer.Option(
        help="Comparisons that share the 2.5%.", metavar="N")] = 1,
    power: Annotated[float, typer.Option(
        help="Probability that every endpoint is shown.", metavar="P")] = 0.8,
    json: Json = False,
) -> None:
    """Say how many cases show a harmless variant non-inferior in every endpoint."""
    from bedside.cli.run import need_workbench

    need_workbench()
    from bedside.metrics import planning
    from bedside.metrics.stats import ALPHA

    given = planning.Assumptions(
        prevalence, sensitivity_margin, specificity_margin, auc_margin, miss_ratio_margin or None,
        sensitivity, specificity, cases_per_patient, correlation, targets, power)
    rows = planning.plan(given, _range(discordance), ALPHA / 2)
    if json:
        output.print_json({"schema": 1, "assumptions": given, "alpha_one_sided": ALPHA / 2,
                           "plans": rows})
        return
    _print(given, rows)


def _range(text: str) -> tuple[float, float]:
    """Read ``0.01..0.03``, or one share. Raises BadInput where it is neither."""
    first, _, last = text.partition("..")
    try:
        return float(first), float(last or first)
    except ValueError:
        raise BadInput(f"{text!r} is no range", where="--discordance",
                       remedy="Give the lowest and the highest share, as 0.01..0.03.") from None


def _print(given: Assumptions, rows: tuple[Planned, ...]) -> None:
    several = given.cases_per_patient > 1
    columns = ["differ", "images", "pos.", *(["patients"] if several else []), "all",
               *(NAMES.get(name, name) for name in rows[0].each)]
    output.table("Cases by share of images that differ, and power: all endpoints, each alone",
                 columns, [
        [percent(r.discordance), count(r.images), count(r.positives),
         *([count(r.patients)] if several else []), percent(r.power, 0),
         *(percent(p, 0) for p in r.each.values())]
        for r in rows], set(range(len(columns))))
    last = rows[-1]
    output.say(
        f"Plan for {count(last.images)} test images: then a harmless variant whose decisions "
        f"differ on up to {percent(last.discordance)} of the images of each class is shown "
        f"non-inferior in every endpoint together in {percent(last.power, 0)} of studies "
        f"(one-sided {percent(2.5 / given.targets / 100, 2)}).")
