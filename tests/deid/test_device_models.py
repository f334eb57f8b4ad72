"""Makes and models are counted before removal, and nothing of a header's text is copied."""

from __future__ import annotations

import json
import os

import pydicom
import pytest
from deid_fixture import CT, MARK, OPEN
from hypothesis import given
from hypothesis import strategies as st

from bedside.card.compute import data
from bedside.card.facts import Facts
from bedside.deid import device_models
from bedside.deid.importing import import_dataset
from bedside.runfolder import artefact

TABLE = device_models._table()
FAMILIES = TABLE.models


@pytest.mark.parametrize(("made", "model", "wanted"), [
    ("GE Healthcare", "LOGIQ E9", "GE LOGIQ E9"), ("GE MEDICAL SYSTEMS", "LOGIQE9", "GE"),
    ("Philips Medical Systems", "EPIQ 7G", "Philips EPIQ 7G"), ("Philips", "iU22", "Philips iU22"),
    ("SIEMENS", "ACUSON S2000", "Siemens ACUSON"), ("TOSHIBA_MEC", "Aplio 500", "another make"),
    ("TOSHIBA", "Aplio i800", "Canon Aplio I800"), ("Mindray", "Resona 7", "Mindray Resona 7"),
    ("SuperSonic Imagine SA", "Aixplorer", "SuperSonic Aixplorer"),
    ("Gerda Meier", "", "another make"),
    ("GE", "LOGIQ 19570412", "GE LOGIQ"), ("", "LOGIQ E9", "no make given"),
    (None, None, "no make given"), ("GE", "Mrs Logan LOGIQ Meier", "GE LOGIQ"),
])
def test_makes_and_models_are_those_of_the_table(made, model, wanted):
    assert device_models.device_of({"Manufacturer": made, "ManufacturerModelName": model}) == wanted


@given(st.text(), st.text(), st.sampled_from(sorted(TABLE.makes)))
def test_no_text_of_a_header_gets_through(before, after, make):
    family = next(iter(FAMILIES.get(make, ("x",))))
    told = device_models.device_of({"Manufacturer": f"{before} {TABLE.makes[make][0]} {after}",
                            "ManufacturerModelName": f"{before} {family} {after}"})
    name = next((m for m in TABLE.makes if told.startswith(m)), None)
    assert name is not None
    rest = told[len(name):].strip()
    for known in FAMILIES.get(name, ()):
        if rest.startswith(known):
            rest = rest[len(known):].strip(" -")
            break
    assert len(rest) <= 4


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    root = tmp_path_factory.mktemp("makes")
    source = root / "src"
    source.mkdir()
    for number, (make, model) in enumerate((("GE Healthcare", "LOGIQ E9"), ("GE", "LOGIQ E9"),
                                            ("Philips", f"{MARK} EPIQ 7"), (MARK, MARK))):
        scan = pydicom.dcmread(CT)
        scan.Manufacturer, scan.ManufacturerModelName = make, model
        scan.PatientID = f"p{number}"
        scan.save_as(source / f"{number}.dcm")
    import_dataset(source, root / "out", root / "private", OPEN)
    return root


def test_import_counts_devices_before_it_removes_them(imported):
    facts = artefact.record(imported / "out", "import").facts
    assert json.loads(facts["devices"]) == {"GE LOGIQ E9": 2, "Philips EPIQ 7": 1,
                                            "another make": 1}
    for path in (p for p in (imported / "out").rglob("*") if p.is_file()):
        assert MARK.encode() not in path.read_bytes()
    scan = pydicom.dcmread(next((imported / "out").rglob("*.dcm")))
    assert not scan.get("Manufacturer") and "ManufacturerModelName" not in scan


def test_the_card_tells_them(imported, tmp_path):
    run = tmp_path / "run"
    (run / "data").mkdir(parents=True)
    (run / "data" / "source.json").write_text(json.dumps(
        {"root": os.path.relpath(imported / "out", run)}))
    facts = Facts(run, "net", (), ())
    assert data.devices(facts) == {"GE LOGIQ E9": 2, "Philips EPIQ 7": 1, "another make": 1}
    assert "devices" not in data.deidentification(facts)
