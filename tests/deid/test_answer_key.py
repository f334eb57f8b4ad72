"""The answer key at a reduced count; ``benchmarks/deid_answer_key.py`` runs the full one."""

from __future__ import annotations

import pytest
from deid_check import leaks, run

REQUIRED = 0.9993


@pytest.mark.parametrize("options", [(), ("modified-dates", "retain-device")],
                         ids=["basic", "dates and device"])
def test_actions_are_right(tmp_path, options):
    score = run(tmp_path, 100, options)
    assert score.total > 100 * 85
    assert score.searched > 100 * 50
    assert score.right / score.total >= REQUIRED, "\n".join(score.wrong[:20])
    assert not [w for w in score.wrong if "remains" in w]


def test_no_name_in_pixels_passes(tmp_path):
    score = run(tmp_path, 8, seed=3, pixels=True)
    assert score.total > 8 * 85 and not score.wrong, "\n".join(score.wrong[:20])
    assert score.by_kind["pixels"] == 2 * (8 - score.held.total()) > 0


def test_a_name_in_pixels_that_stays_counts_as_wrong(tmp_path, monkeypatch):
    monkeypatch.setattr("deid_check.PIXELS", "unchecked")
    score = run(tmp_path, 2, seed=3, pixels=True)
    assert sum("of the ink" in w for w in score.wrong) == 4


@pytest.mark.parametrize("hidden", [
    b"xx Kelmindor xx", b"xxKELMINDORxx", "Kelmindor".encode("utf-16-le"),
    "Kelmindor".encode("utf-16-be"), b"..S2VsbWluZG9y..", b"IEtlbG1pbmRvciA="])
def test_the_search_for_leaks_finds_them(hidden):
    assert leaks(hidden, {"Kelmindor"}) == ["Kelmindor"]
    assert leaks(hidden, {"Gamwyttav"}) == []


def test_the_search_for_leaks_takes_no_digits_of_a_new_uid_for_a_number():
    drawn = b"2.25.296538182512220255898659340376861658800"
    assert leaks(b"UI " + drawn + b"\0", {"768616588"}) == []
    assert leaks(drawn + b" 768616588", {"768616588"}) == ["768616588"]
    assert leaks(b"2.25.768616588", {"768616588"}) == ["768616588"]
