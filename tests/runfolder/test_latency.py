"""Latency samples: the file's format, what is read back, medians and percentiles."""

from __future__ import annotations

import pytest

from bedside.core.build import Latency
from bedside.core.errors import BadInput
from bedside.runfolder import latency

SAMPLES = [(0, 0, 1.0), (0, 1, 3.0), (1, 0, 2.0), (1, 1, 10.0)]


def test_samples_are_read_back_as_they_were_written(tmp_path):
    latency.write(tmp_path / "latency.csv", SAMPLES)
    assert (tmp_path / "latency.csv").read_text() == (
        "round,sample,ms\n0,0,1.000000\n0,1,3.000000\n1,0,2.000000\n1,1,10.000000\n")
    assert latency.read(tmp_path / "latency.csv") == tuple(SAMPLES)


def test_a_missing_file_holds_no_sample(tmp_path):
    assert latency.read(tmp_path / "latency.csv") == ()


@pytest.mark.parametrize("text", ["round,sample\n0,0\n", "round,sample,ms\n0,0,fast\n",
                                  "round,sample,ms\n0\n"])
def test_a_row_that_does_not_read_is_refused(tmp_path, text):
    (tmp_path / "latency.csv").write_text(text)
    with pytest.raises(BadInput, match="a row is unreadable"):
        latency.read(tmp_path / "latency.csv")


def test_the_summary_is_over_all_samples():
    assert latency.summary(SAMPLES, 2) == Latency(2.5, pytest.approx(8.95), 4, 2)
    assert latency.summary([], 2) is None


def test_medians_come_by_round():
    assert latency.round_medians(SAMPLES) == [2.0, 6.0]
    assert latency.round_medians([]) == []
