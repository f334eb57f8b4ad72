"""Which figures are computed again, and which are left as they are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tiny import write_tiny_data

from bedside.core import codec
from bedside.core.study import Study
from bedside.figures.base import FigureData, figure_module
from bedside.runfolder import artefact, layout, stored
from bedside.stages import analyse


@pytest.mark.parametrize("figure", ["robustness", "history"])
def test_a_figure_that_reads_the_settings_is_made_anew_when_they_change(tmp_path, monkeypatch,
                                                                       figure):
    """A margin that moved must not keep the verdicts of the old one."""
    write_tiny_data(tmp_path)
    study, made = Study(), []

    def compute(run, model):
        made.append(stored.study(run).evidence)
        return FigureData(facts={"number": len(made)})

    monkeypatch.setattr(analyse, "jobs", lambda run, models: [(figure, "net")])
    monkeypatch.setattr(f"bedside.figures.{figure}.compute", compute)
    other = replace(study, evidence=replace(study.evidence, auc_margin=0.05))
    for settings in (study, study, other, other):
        artefact.write_text(layout.study_file(tmp_path), codec.to_toml(settings))
        analyse.analyse(tmp_path)
    reads = figure_module(figure).READS.settings
    assert reads == (figure == "robustness")
    assert made == ([study.evidence, other.evidence] if reads else [study.evidence])
