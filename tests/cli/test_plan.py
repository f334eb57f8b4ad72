"""``plan-study``: a table of 80 columns, one document, and one line for bad input."""

from __future__ import annotations

import json

import pytest

from bedside.cli import app

ARGUMENTS = ["plan-study", "--prevalence", "0.4", "--discordance", "0.01..0.03"]


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        app.main(list(arguments))
    output = capsys.readouterr()
    return caught.value.code, output.out, output.err


def test_the_table_fits_80_columns_and_says_what_to_plan_for(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, err = run(capsys, *ARGUMENTS, "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert document["assumptions"]["prevalence"] == 0.4
    assert document["alpha_one_sided"] == 0.025
    plans = document["plans"]
    assert [p["discordance"] for p in plans] == pytest.approx([0.01, 0.02, 0.03])
    code, out, err = run(capsys, *ARGUMENTS)
    assert (code, err) == (0, "")
    table, told = out.split("Plan for ")
    assert max(len(line) for line in table.splitlines()) <= 80
    for p in plans:
        for number in (p["images"], p["positives"], p["patients"]):
            assert f"{number:,}" in table
    assert told.startswith(f"{plans[-1]['images']:,} test images")
    assert "3.0%" in told


@pytest.mark.parametrize(("flag", "value", "fault"), [
    ("--discordance", "0.03..0.01", "--discordance: the range 0.03..0.01 is the wrong way round"),
    ("--discordance", "few", "--discordance: 'few' is no range"),
    ("--discordance", "nan..nan", "--discordance: the range"),
    ("--prevalence", "0", "--prevalence: a prevalence of 0"),
    ("--auc-margin", "1", "--auc-margin: the margin 1 is outside (0, 1)"),
    ("--sensitivity-margin", "-0.02", "--sensitivity-margin: the margin -0.02"),
    ("--cases-per-patient", "0", "--cases-per-patient: 0 cases per patient"),
    ("--targets", "0", "--targets: 0 targets"),
])
def test_bad_input_is_one_line_and_exit_2(capsys, flag, value, fault):
    code, out, err = run(capsys, *ARGUMENTS, flag, value)
    assert (code, out) == (2, "")
    assert fault in err
    assert err.count("\n") == 1
