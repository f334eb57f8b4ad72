"""Targets asked before anything is run on them."""

from __future__ import annotations

import pytest

from bedside import targets
from bedside.core.errors import BadInput, MissingComponent
from bedside.flows import doctor
from bedside.targets.base import Availability


def test_without_names_every_backend_is_asked():
    result = doctor.doctor([], None)
    assert set(result.backends) == set(targets.BACKENDS)
    assert "cpu" in result.targets_of("cpu")
    result.require()


def test_a_name_that_is_neither_target_nor_backend_is_refused():
    with pytest.raises(BadInput, match="unknown target 'cpux'"):
        doctor.doctor(["cpux"], None)


def test_a_target_that_does_not_work_here_is_missing(monkeypatch):
    gone = Availability(False, "no compiler", "Install it.")
    monkeypatch.setattr("bedside.targets.ethos_u.available", lambda: gone)
    result = doctor.doctor(["ethos-u55-128", "cpu"], None)
    assert result.backends["cpu"].works
    for missing in (result.require, lambda: doctor.need_targets(["ethos-u55-128"], None)):
        with pytest.raises(MissingComponent, match="no compiler"):
            missing()


def test_a_run_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no such run folder"):
        doctor.check_run(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="no such file"):
        doctor.lint(tmp_path / "none.tflite", ["cpu"], None)
