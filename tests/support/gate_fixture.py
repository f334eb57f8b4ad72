"""Finished runs for gate, diff and recommend, and the command line that reads them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from choice_fixture import Cell, make, sample

from bedside.cli import app

VAL, TEST = 200, 600
N = VAL + TEST


def bedside(capsys, *arguments):
    """Exit code, standard output and standard error of a command."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        app.main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return caught.value.code, out, err


def document(capsys, *arguments):
    code, out, _ = bedside(capsys, *arguments, "--json")
    assert "NaN" not in out
    return code, json.loads(out, parse_constant=pytest.fail)


def splits(val, test):
    return ["val"] * val + ["test"] * test


def checks(found, result):
    return {(c["check"], c["subject"]) for c in found["checks"] if c["result"] == result}


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """2,000 test images: a good int8, and a dynamic that was damaged."""
    rng, labels, odds = sample(2400)
    damaged = np.where(rng.random(2400) < 0.15, -odds, odds)
    return make(tmp_path_factory.mktemp("big"), labels, splits(400, 2000), {
        "float32": Cell(odds, 12, 4_000_000), "int8": Cell(odds + rng.normal(0, 0.02, 2400), 4),
        "dynamic": Cell(damaged, 3)})


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """The same without the damaged variant."""
    rng, labels, odds = sample(N)
    return make(tmp_path_factory.mktemp("good"), labels, splits(VAL, TEST), {
        "float32": Cell(odds, 12, 4_000_000), "int8": Cell(odds + rng.normal(0, 0.02, N), 4)})
