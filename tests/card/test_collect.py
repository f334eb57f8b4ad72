"""Automatic card fields of a run: filled, or with a reason."""

from __future__ import annotations

import csv
import shutil

import pytest
from card_fixture import CARD, MODEL

from bedside.card import documents, markdown
from bedside.card.collect import collect, facts_of
from bedside.card.table import LIST, table
from bedside.core import codec
from bedside.runfolder import artefact, layout

# What this small run cannot know: each says why.
UNKNOWN = {"deidentification", "demographics", "subgroups", "robustness", "change_log",
           "reference_standard"}


def rows():
    with (CARD / LIST).open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


@pytest.mark.parametrize("row", [r for r in rows() if "auto" in r["filled_by"]],
                         ids=lambda r: r["field"][:30])
def test_every_automatic_field_is_filled_or_says_why_not(run, row):
    field = next(f for f in documents.read(run, MODEL).fields if f.field == row["field"])
    assert field.values
    for value in field.values:
        assert (value.value is None) == bool(value.reason), value.label
        assert value.source
    assert any(v.value is not None for v in field.values) or field.id in UNKNOWN


def test_nothing_that_only_people_know_is_guessed(run):
    found = documents.read(run, MODEL)
    assert {a.key for a in found.answers()} == set(table().question)
    page = (layout.card_dir(run, MODEL) / documents.MARKDOWN).read_text()
    tree = (layout.card_dir(run, MODEL) / documents.XML).read_text()
    for answer in found.answers():
        assert answer.text is None
        assert answer.awaits == f"to be filled in by {table().question[answer.key].who}"
        assert f"(`{answer.key}`)" in page
    assert tree.count("[to be filled in by") >= 20


def test_values_are_those_of_the_run(run):
    found = documents.read(run, MODEL)
    graph_free = codec.parse_json((layout.model_dir(run, MODEL) / "manifest.json").read_text(), "")
    assert found.value("sample_size", "Images by part and class")["test"] == {
        "benign": 5, "malignant": 5}
    names = found.value("identity", "SHA-256")
    assert names["models/resnet34/float.tflite"] == graph_free["stages"]["convert"]["files"][
        "float.tflite"]["sha256"]
    assert names[f"{MODEL}-int8"] == artefact.sha256_file(
        layout.variant_dir(run, f"{MODEL}-int8") / "model.tflite")
    assert names[f"builds/{MODEL}-int8@cpu/model.tflite"] == names[f"{MODEL}-int8"]
    assert found.value("quantization", "Calibration images")[f"{MODEL}-int8"]["images"] == 8
    assert found.value("latency", "Device") == {"cpu": {"processor": "a chip", "cores": "2"}}
    assert found.value("architecture", "Multiply-accumulates an image") > 10_000
    sensitivity = found.value("metrics", "Test images")[f"{MODEL}-int8@cpu"]["sensitivity"]
    assert sensitivity["n"] == 5
    assert sensitivity["low"] <= sensitivity["value"] <= sensitivity["high"]


def test_a_run_that_has_nothing_says_so_everywhere(tmp_path, run):
    bare = tmp_path / "run"
    for part in ("data", "models"):
        shutil.copytree(run / part, bare / part)
    found = collect(facts_of(bare, MODEL), {})
    known = {f.id for f in found.fields for v in f.values if v.value is not None}
    assert not known & {"metrics", "failures", "latency", "quantization"}
    assert all(v.reason for f in found.fields for v in f.values if v.value is None)
    assert markdown.render(found).count("—") > 15
