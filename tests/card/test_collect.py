"""Model card and evidence file: every automatic field has a source, no human field is guessed."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import xmlschema
from hypothesis import given, settings
from hypothesis import strategies as st

from bedside.card import chai, compute, documents, human, markdown
from bedside.card.collect import collect, facts_of
from bedside.card.table import LIST, listed, table
from bedside.core import codec
from bedside.core.build import Build, Latency, Measurement
from bedside.core.errors import BadInput
from bedside.core.study import ModelConfig, Study
from bedside.runfolder import artefact, layout
from bedside.runtime.litert import LOGITS, LiteRTModel
from bedside.services.rest import serving
from bedside.stages import card as stage
from bedside.stages import evidence

MODEL = "resnet34"
CARD = resources.files("bedside.card")
# What this small run cannot know: each says why.
UNKNOWN = {"deidentification", "demographics", "subgroups", "robustness", "change_log",
           "reference_standard"}


@pytest.fixture(scope="module")
def schema():
    # The schema of XML signatures, which it imports, comes from the validator: no network.
    return xmlschema.XMLSchema(str(CARD / "chai_v0.2.xsd"), allow="local")


@pytest.fixture(scope="module")
def run(tiny_quantized, tmp_path_factory):
    """The tiny run with its variants measured in this process, as ``evaluate`` would."""
    run = tmp_path_factory.mktemp("card") / "run"
    shutil.copytree(tiny_quantized, run)
    artefact.write_text(layout.study_file(run), codec.to_toml(Study(
        models=(ModelConfig("resnet34", image_px=32, width=0.125),))))
    for variant in layout.variants(run):
        if variant.scheme in ("float32", "int8"):
            _measure(run, variant)
            with artefact.writing(layout.build_dir(run, variant.id, "cpu"), "build", "k") as out:
                artefact.write_text(out / layout.BUILD, codec.to_json(Build(
                    variant.id, "cpu", "tflite", {"model.tflite": variant.sha256}, "bedside")))
    evidence.evidence(run, layout.study(run).evidence)
    assert stage.card(run) == [MODEL]
    return run


def _measure(run, variant):
    model = LiteRTModel(layout.variant_dir(run, variant.id) / variant.file)
    cases = [c for c in layout.cases(run) if c.split in ("val", "test")]
    with layout.pixel_store(run, variant.preprocess) as store:
        logits = np.concatenate([model.run(store.tensor(c.id))[LOGITS] for c in cases])
    with artefact.writing(layout.measurement_dir(run, variant.id, "cpu"), "evaluate", "k") as out:
        np.savez(out / layout.PREDICTIONS, ids=np.array([c.id for c in cases]),
                 split=np.array([c.split for c in cases]), logits=logits,
                 labels=np.array([variant.task.classes.index(c.label) for c in cases]))
        artefact.write_text(out / layout.MEASUREMENT, codec.to_json(Measurement(
            variant.id, MODEL, variant.scheme, "cpu", "ok", variant_sha256=variant.sha256,
            latency_ms=Latency(1.0, 1.2, 10, 1), predictions=layout.PREDICTIONS,
            size_bytes=variant.size_bytes, machine={"processor": "a chip", "cores": "2"},
            evidence={"accuracy": "measured", "latency": "measured"})))


@pytest.fixture
def copy(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    return tmp_path / "run"


def rows():
    with (CARD / LIST).open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


# ------------------------------------------------------------------ the table


def test_the_table_holds_every_field_of_the_list_in_order():
    assert [f.name for f in table().field] == [r["field"] for r in rows()] == list(listed())
    assert len({f.id for f in table().field}) == len(table().field)


@pytest.mark.parametrize("row", rows(), ids=lambda r: r["field"][:30])
def test_an_automatic_field_has_sources_and_a_human_one_questions(row):
    field = next(f for f in table().field if f.name == row["field"])
    assert bool(field.items) or "auto" not in row["filled_by"]
    assert bool(field.human) or "human" not in row["filled_by"]
    assert {*field.human} <= set(table().question)
    for item in field.items:
        assert bool(item.compute) != bool(item.file), item.label
        if item.compute:
            assert compute.of(item.compute)


def test_a_source_that_is_not_there_is_refused():
    for name in ("nothing", "_audit", "Counter", "proportion"):
        with pytest.raises(KeyError):
            compute.of(name)


def test_the_list_is_the_one_beside_the_checkout(checkout):
    """Where the shared list lies beside a checkout, the package carries the same one."""
    beside = checkout.parent / "shared" / LIST
    assert not beside.is_file() or beside.read_text() == (CARD / LIST).read_text()


# ------------------------------------------------------------------ filled from a run


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


def test_parameters_are_those_of_torch(run):
    from bedside.models.head import folded_parameters
    from bedside.stages.convert import load_module

    module = load_module(layout.model_spec(run, MODEL), layout.model_dir(run, MODEL)
                         / layout.WEIGHTS)
    found = documents.read(run, MODEL).value("architecture", "Parameters")
    assert found == folded_parameters(module)


def test_failures_are_all_wrong_decisions_with_their_maps(run):
    found = documents.read(run, MODEL)
    locked = layout.operating_points(run, MODEL).locked
    lists = found.value("failures", "Missed and false alarms among test images")
    maps = found.value("failures", "Where the model looked")
    for scheme in ("float32", "int8"):
        p = layout.predictions(run, f"{MODEL}-{scheme}", "cpu").of("test")
        called = p.logits[:, 1].astype(float) - p.logits[:, 0] >= locked.threshold_log_odds
        ids = np.array([str(i) for i in p.ids])
        mine = lists[f"{MODEL}-{scheme}@cpu"]
        assert {r["id"] for r in mine["missed"]} == {*ids[(p.labels == 1) & ~called]}
        assert {r["id"] for r in mine["false alarms"]} == {*ids[(p.labels == 0) & called]}
        wrong = {r["id"] for kind in ("missed", "false alarms") for r in mine[kind]}
        assert wrong, "a network without training makes mistakes"
        assert set(maps[f"{MODEL}-{scheme}"]["maps"]) == wrong
        for one in maps[f"{MODEL}-{scheme}"]["maps"].values():
            cells = [int(v) for line in one["map"] for v in line.split()]
            assert min(cells) >= 0
            assert max(cells) in (0, 100)


def test_a_run_that_has_nothing_says_so_everywhere(tmp_path, run):
    bare = tmp_path / "run"
    for part in ("data", "models"):
        shutil.copytree(run / part, bare / part)
    found = collect(facts_of(bare, MODEL), {})
    known = {f.id for f in found.fields for v in f.values if v.value is not None}
    assert not known & {"metrics", "failures", "latency", "quantization"}
    assert all(v.reason for f in found.fields for v in f.values if v.value is None)
    assert markdown.render(found).count("—") > 15


def test_the_audit_fields_are_those_that_the_server_writes(tmp_path):
    write = serving.auditor(tmp_path / "log")
    write("GET", "health", 200, 1.0, 0)
    assert tuple(json.loads((tmp_path / "log").read_text())) == compute.AUDIT_FIELDS


# ------------------------------------------------------------------ XML


def test_the_xml_is_valid_by_the_schema_of_chai(run, schema):
    schema.validate(str(layout.card_dir(run, MODEL) / documents.XML))


def test_the_validator_can_fail(run, schema):
    text = (layout.card_dir(run, MODEL) / documents.XML).read_text()
    for broken in (re.sub(r"<ModelName>.*?</ModelName>", "", text),
                   text.replace("BasicInfo", "Basics"),
                   re.sub(r"<Results>.*?</Results>", "<Results/>", text, flags=re.S)):
        assert broken != text
        assert not schema.is_valid(broken)


@settings(max_examples=25, deadline=None)
@given(text=st.text(min_size=1, max_size=60))
def test_any_text_of_a_data_set_or_a_person_stays_text(run, schema, text):
    card = documents.read(run, MODEL)
    about = tuple(replace(a, text=text, awaits=None) for a in card.about)
    hostile = replace(card, classes=(text, "]]><x>"), model=f"<b>{text}</b>", about=about)
    schema.validate(chai.render(hostile))
    page = markdown.render(hostile)
    assert "<b>" not in page
    assert "\n# " not in page.removeprefix("# ")


# ------------------------------------------------------------------ what people say


def test_answers_reach_every_file_and_survive_a_run(copy, schema):
    path = human.path_of(copy)
    assert path.is_file(), "the stage offers the questions once"
    answers = ('intended_use = "A second opinion <after> the radiologist\'s"\n'
               'developer = "Clinic A | Team *B*"\n')
    path.write_text(answers)
    stage.card(copy)
    found = documents.read(copy, MODEL)
    assert {a.key for a in found.awaited()} == set(table().question) - {"intended_use",
                                                                        "developer"}
    tree = (layout.card_dir(copy, MODEL) / documents.XML).read_text()
    schema.validate(tree)
    assert "<ModelDeveloper>Clinic A | Team *B*</ModelDeveloper>" in tree
    page = (layout.card_dir(copy, MODEL) / documents.MARKDOWN).read_text()
    assert "A second opinion &lt;after&gt; the radiologist's" in page
    assert r"Clinic A \| Team \*B\*" in page
    assert path.read_text() == answers


def test_a_card_of_the_same_things_is_left(copy):
    before = {p.name: p.stat().st_mtime_ns for p in layout.card_dir(copy, MODEL).iterdir()}
    stage.card(copy)
    assert before == {p.name: p.stat().st_mtime_ns for p in layout.card_dir(copy, MODEL).iterdir()}


@pytest.mark.parametrize(("text", "message"), [
    ('intended_ues = "x"', "did you mean 'intended_use'"), ("developer = 3", "expected a text"),
    ("developer = ", "not valid TOML"), ('developer = "\\u0000"', "U\\+0000"),
    ('[developer]\nname = "x"', "expected a text")])
def test_answers_that_do_not_read_are_refused(copy, text, message):
    human.path_of(copy).write_text(text)
    before = (layout.card_dir(copy, MODEL) / documents.MARKDOWN).read_bytes()
    with pytest.raises(BadInput, match=f"(?i){message}") as caught:
        stage.card(copy)
    assert human.CARD in caught.value.message
    assert (layout.card_dir(copy, MODEL) / documents.MARKDOWN).read_bytes() == before


def test_the_offered_file_reads_as_it_is_and_with_every_answer(copy):
    assert human.read(copy) == {}
    path = human.path_of(copy)
    path.write_text(re.sub(r'^# (\w+) = ""$', r'\1 = "yes"', path.read_text(), flags=re.M))
    assert human.read(copy) == dict.fromkeys(table().question, "yes")


def test_the_report_links_the_card_and_counts_what_is_blank(copy):
    from bedside.stages.report import card_view

    (found,) = card_view.view(copy, (MODEL,))
    assert sum(len(q) for _, q in found.awaited) == len(table().question)
    card_view.copy(copy, Path(copy / "report"), (MODEL,))
    for _, link in found.files:
        assert (copy / "report" / link).is_file()
