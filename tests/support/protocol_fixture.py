"""A finished run whose margins somebody moves, and its ledger rewritten by hand."""

from __future__ import annotations

from choice_fixture import Cell, make, sample

from bedside.core.study import BudgetConfig
from bedside.runfolder import layout, stored
from bedside.stages.evidence import stage as evidence
from bedside.stages.recommend import stage

VAL, TEST = 100, 200
MARGINS = {"sensitivity_margin": (0.02, 0.15), "specificity_margin": (0.05, 0.15),
           "auc_margin": (0.02, 0.1)}


def finished(run, budget=None, locked=True):
    """200 test images: too few for two points, enough for fifteen."""
    rng, labels, odds = sample(VAL + TEST)
    return make(run, labels, ["val"] * VAL + ["test"] * TEST, {
        "float32": Cell(odds, 12, 4_000_000),
        "int8": Cell(odds + rng.normal(0, 0.05, VAL + TEST), 4)},
        budget or BudgetConfig(), locked=locked)


def edit(run, *changes):
    """Change settings in study.toml, as a person does: (key, before, after)."""
    path = layout.study_file(run)
    text = path.read_text()
    for key, before, after in changes:
        assert f"{key} = {before}\n" in text
        text = text.replace(f"{key} = {before}\n", f"{key} = {after}\n")
    path.write_text(text)


def move_margins(run, back=False):
    """0.15, 0.15 and 0.10, or the defaults again."""
    edit(run, *((k, *(v[::-1] if back else v)) for k, v in MARGINS.items()))


def again(run):
    """Evidence and recommendation of the settings as they are, by the stages alone."""
    config = stored.study(run)
    evidence.evidence(run, config.evidence)
    return stage.recommend(run, config)
