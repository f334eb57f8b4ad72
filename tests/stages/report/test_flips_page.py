"""The page of changed decisions."""

from __future__ import annotations

import csv
import io
import re

import pytest
from analyse_fixture import figure_data

from bedside.figures import flips
from bedside.figures.base import FigureData
from bedside.runfolder import stored
from bedside.stages.report import flips_page


def test_the_page_holds_every_flip_with_three_pictures_and_no_file_name(flipped):
    report = flipped / "report"
    html = (report / "flips.html").read_text(encoding="utf-8")
    every = [r for m in ("tiny", "foreign")
             for r in figure_data(flipped, "flips", m).facts["flips"]]
    assert html.count('<article class="card') == len(every)
    tiny = len(figure_data(flipped, "flips").facts["flips"])
    assert html.count('src="data:image/jpeg') == 3 * tiny + (len(every) - tiny)
    for row in every:
        assert row["id"] in html
    for case in stored.cases(flipped):
        assert case.file not in html
    assert not re.search(r"(https?:|file:|//\w)", re.sub(r'src="data:[^"]*"', "", html))
    assert "default-src 'none'" in html and "<script" not in html
    titles = [html.index(f"<h2>{flips_page.KINDS[k][0]}") for k in flips.KINDS
              if any(r["kind"] == k for r in every)]
    assert titles == sorted(titles)
    lines = list(csv.DictReader(io.StringIO((report / "flips.csv").read_text())))
    assert [(x["variant"], x["id"]) for x in lines][:1] == [(every[0]["variant"], every[0]["id"])]
    assert len(lines) == len(every)
    assert 'href="flips.html"' in (report / "index.html").read_text(encoding="utf-8")


def test_long_lists_go_over_several_pages(flipped, tmp_path):
    found = flips_page.load(flipped, ["tiny"])
    row = next(r for r in found.rows)
    many = flips_page.Flips((row,) * 250, (), 900)
    flips_page.write(tmp_path, many, False)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "flips-2.html", "flips-3.html", "flips.csv", "flips.html"]
    assert (tmp_path / "flips-3.html").read_text().count('<article class="card') == 50
    assert (tmp_path / "flips.csv").read_text().count("\n") == 251


@pytest.mark.parametrize("payload", ["<script>alert(1)</script>", "\"><img src=x onerror=y>",
                                     "{{ 7*7 }}", "=1+1"])
def test_hostile_names_add_no_markup_and_no_formula(flipped, tmp_path, payload):
    data, row = flips_page.load(flipped, ["tiny"]).rows[0]
    facts = data.facts | {"model": payload, "maps_reason": payload}
    bad = row | {"label": payload, "called": [payload, payload], "also": [payload],
                 "variant": payload, "target": payload}
    page = flips_page.Flips(((FigureData(data.arrays, facts), bad),), ((payload, payload),), 9)
    flips_page.write(tmp_path, page, False)
    html = (tmp_path / "flips.html").read_text(encoding="utf-8")
    assert "<script" not in html and "onerror=y>" not in html.replace("onerror=y&gt;", "")
    assert "49" not in html.split("<h2>")[1].split("<img")[0]
    for cell in next(list(r) for k, r in enumerate(csv.reader(io.StringIO(
            (tmp_path / "flips.csv").read_text()))) if k == 1):
        assert not cell.startswith("=")
