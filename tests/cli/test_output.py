"""Tables, JSON, remarks and progress as a person or a program sees them."""

from __future__ import annotations

import json

from bedside.cli import output
from bedside.cli.options import given


def test_results_go_to_standard_output_and_remarks_to_standard_error(capsys):
    output.console.cache_clear()
    output.say("a [result]")
    output.note("a [remark]")
    output.fault("a fault")
    caught = capsys.readouterr()
    assert caught.out == "a [result]\n"
    assert caught.err == "a [remark]\nbedside: a fault\n"


def test_json_is_one_document(capsys):
    output.print_json({"rows": (1, 2), "none": None})
    assert json.loads(capsys.readouterr().out) == {"rows": [1, 2], "none": None}


def test_a_table_shows_every_cell_as_it_is(capsys):
    output.console.cache_clear()
    output.table("", ["name", "n"], [["[bold]", "1"]], {1})
    assert "[bold]" in capsys.readouterr().out


def test_progress_is_plain_lines_where_no_terminal_is(capsys):
    output.console.cache_clear()
    with output.Reporter() as progress:
        for done in range(4):
            progress("train", done, 3, "epoch" if done else "")
        progress.note("a remark")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("train 0/3")
    assert "train 3/3 epoch" in lines
    assert lines[-1] == "a remark"


def test_quiet_progress_prints_nothing(capsys):
    with output.Reporter(quiet=True) as progress:
        progress("train", 1, 1)
        progress.note("a remark")
    assert capsys.readouterr().err == ""


def test_flags_that_were_not_given_are_left_out():
    assert given(a=None, b=[], c=["x", "y"], d=False, e=0) == {"c": ("x", "y"), "d": False, "e": 0}
