"""One bad candidate says what is wrong with it; the others can be decided and applied."""

from __future__ import annotations

import io

import dicom_fixture
import numpy as np
import pydicom
import pytest
from starlette.testclient import TestClient

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.deid import key, ledger
from bedside.deid.ledger import Entry, Ledger
from bedside.runfolder import artefact
from bedside.services.review import candidate, decisions, server

TOKEN = "token"


def dicom_bytes():
    rng = np.random.default_rng(3)
    return dicom_fixture.as_bytes(dicom_fixture.dataset(
        rng.integers(0, 255, (2, 40, 60), dtype=np.uint8)))


def spoilt(kind):
    """A DICOM candidate of which no image can be made."""
    if kind == "cut":
        return dicom_bytes()[:-500]
    if kind == "nothing":
        return b""
    made = pydicom.dcmread(io.BytesIO(dicom_bytes()))
    if kind == "label":
        made.PhotometricInterpretation, made.SamplesPerPixel = "YBR_FULL_422", 3
    else:
        made.Rows = "1A" if kind == "words" else 4000
    return dicom_fixture.as_bytes(made)


@pytest.fixture
def work(tmp_path, request):
    private, out = tmp_path / "private", tmp_path / "clean"
    for name in ("", "quarantine", "previews", "tables"):
        key.private_dir(private / name)
    files = {"good": ("a.dcm", dicom_bytes()), "bad": ("b.dcm", request.param),
             "torn": ("c.png", b"\x89PNG\r\n\x1a\nno image")}
    entries = []
    for name, (file, data) in files.items():
        key.write_private(private / "quarantine" / file, data)
        entries.append(Entry(name, "dicom" if file.endswith("dcm") else "picture", "quarantined",
                             "text overlapping anatomy", f"quarantine/{file}"))
    book = Ledger(tuple(sorted(entries, key=lambda e: e.id)))
    key.write_private(private / ledger.NAMES, ledger.names_csv(book).encode())
    key.write_private(private / decisions.DESTINATION, codec.to_json({
        "out": str(out), "stage": "import",
        "targets": {e.id: f"benign/{e.file.rpartition('/')[2]}" for e in entries}}).encode())
    with artefact.writing(out, "import", "k" * 24) as scratch:
        artefact.write_text(scratch / ledger.LEDGER, ledger.to_csv(book))
    return decisions.open_review(private)


EVERY = pytest.mark.parametrize("work", [spoilt(k) for k in ("cut", "nothing", "label", "large")],
                                indirect=True, ids=["cut", "nothing", "label", "large"])


@EVERY
def test_the_page_lists_every_entry_and_shows_those_that_can_be_shown(work):
    import threading

    client = TestClient(server.application(work, TOKEN, threading.Event()))
    listed = {i["id"]: i for i in client.get(f"/{TOKEN}/items").json()}
    assert set(listed) == {"good", "bad", "torn"}
    assert (listed["good"]["frames"], listed["good"]["fault"]) == (2, None)
    for name in ("bad", "torn"):
        assert listed[name]["frames"] == 0
        assert "cannot be shown" in listed[name]["fault"]
        assert "Reject it" in listed[name]["fault"]
        assert client.get(f"/{TOKEN}/image/{name}/0").status_code == 404
    assert client.get(f"/{TOKEN}/image/good/1").headers["content-type"] == "image/png"
    refused = client.post(f"/{TOKEN}/decide", json={"id": "bad", "verdict": "accept", "boxes": []})
    assert refused.status_code == 400
    assert "Reject it" in refused.text
    assert client.post(f"/{TOKEN}/decide", json={"id": "bad", "verdict": "reject",
                                                 "boxes": []}).status_code == 200


@EVERY
def test_applying_passes_the_good_one_and_leaves_the_bad_one_open(work):
    decisions.decide(work, "good", "redact", ((0.1, 0.1, 0.5, 0.5),))
    with pytest.raises(BadInput, match="cannot be shown"):
        decisions.decide(work, "bad", "accept")
    # A decision from before the check, or of a file that was damaged since.
    entry = next(e for e in work.entries if e.id == "bad")
    made = codec.to_json(decisions.Decisions({
        **decisions.decisions(work),
        "bad": decisions.Decision("accept", decisions.candidate_sha256(work, entry))}))
    key.write_private(work.private / decisions.DECISIONS, made.encode())
    assert decisions.apply(work) == {"accept": 0, "redact": 1, "reject": 0, "open": 2}
    assert (work.out / "benign" / "a.dcm").is_file()
    assert not (work.out / "benign" / "b.dcm").exists()


@EVERY
def test_a_redaction_changes_pixels_inside_its_box_alone(work):
    entry = next(e for e in work.entries if e.id == "good")
    before = pydicom.dcmread(work.private / entry.file).pixel_array
    after = pydicom.dcmread(io.BytesIO(candidate.passed(
        work.private, entry, ((0.25, 0.25, 0.5, 0.5),)))).pixel_array
    changed = (before != after).any(axis=0)
    assert changed[10:20, 15:30].any()
    changed[10:20, 15:30] = False
    assert not changed.any()
