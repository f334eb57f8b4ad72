"""Sensitivity of each layer to INT8."""

from __future__ import annotations

from analyse_fixture import figure_data

from bedside.figures import sensitivity


def test_layers_have_an_sqnr_and_without_a_search_no_damage(run) -> None:
    facts = figure_data(run, "sensitivity").facts
    assert facts["scheme"] == "int8" and not facts["searched"]
    assert len(facts["layers"]) >= 6
    assert all("alone_damage" not in row for row in facts["layers"])
    assert "bedside search RUN" in sensitivity.caption(figure_data(run, "sensitivity"))
