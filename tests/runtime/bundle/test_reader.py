"""The bundle format: canonical, hashed, signed; everything else is refused."""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
import stat
import zipfile
from dataclasses import replace

import pytest
from bundle_fixture import golden, judged, packed, parts
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import GOLDEN, ROOT
from zip_attacks import ATTACKS, rezip

from bedside import targets
from bedside.core import codec
from bedside.core.errors import BadInput, GateFailed
from bedside.core.types import Abstention, Task
from bedside.runtime.bundle import canonical_zip, reader, signing, writer
from bedside.runtime.bundle.manifest import NOTICE, OperatingPoint
from bedside.runtime.bundle.reader import open_bundle


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    private, public, _ = signing.keygen(tmp_path_factory.mktemp("keys"))
    return private, signing.read_public(public)


@pytest.fixture(scope="module")
def signed(keys):
    return packed(keys[0])


def test_a_signed_bundle_opens_with_its_key_alone(signed, keys):
    bundle = open_bundle(signed, {keys[1]}, allow_unsigned=False)
    assert bundle.signer == signing.fingerprint(keys[1])
    assert bundle.id == hashlib.sha256(
        bytes(canonical_zip.read(signed, "x")["manifest.json"])).hexdigest()[:16]
    assert bundle.manifest.task.classes == ("benign", "malignant")
    assert bytes(bundle.files["model/model.tflite"]) == b"model bytes"


def test_the_golden_bundle_and_answers_that_hold_the_web_app_are_this_code_s(tmp_path):
    """``web/test`` reads the same files; ``tests/golden/make.py`` writes them."""
    data, public = golden(tmp_path)
    assert (GOLDEN / "bundle.zip").read_bytes() == data
    assert json.loads((GOLDEN / "bundle.json").read_text())["public_key"] == public.hex()
    opened = open_bundle(data, {public})
    assert opened.familiarity is not None
    assert opened.manifest.below_floor and opened.manifest.operating_point.abstention
    written = json.loads((GOLDEN / "judged.json").read_text())
    for old, new in zip(written, judged(), strict=True):
        assert old.keys() == new.keys()
        for key in ("predicted", "familiar", "names", "pixels", "classes", "abstention",
                    "withheld"):
            assert old[key] == new[key]
        for key in ("features", "quality"):
            assert old[key] == pytest.approx(new[key], rel=1e-9)
        assert old["probabilities"] == pytest.approx(new["probabilities"], rel=1e-9)


def test_a_bundle_of_the_first_schema_opens_without_a_band():
    public = bytes.fromhex(json.loads((GOLDEN / "bundle.json").read_text())["public_key"])
    old = open_bundle((GOLDEN / "bundle_schema1.zip").read_bytes(), {public})
    assert old.manifest.schema == 1
    assert old.manifest.below_floor == ()
    assert old.manifest.operating_point.abstention is None


@pytest.mark.parametrize(("threshold", "band", "fits"), [
    (0.5, Abstention(0.2, 0.7), True), (0.5, Abstention(reason="too few"), True),
    (0.5, Abstention(0.6, 0.7), False), (0.5, Abstention(0.2, 0.4), False),
    (0.5, Abstention(None, 0.7), False), (0.5, Abstention(-0.1, 0.7), False),
    (0.5, Abstention(confidence=0.9), False), (None, Abstention(confidence=0.9), True),
    (None, Abstention(confidence=1.1), False), (None, Abstention(0.2, 0.7), False)])
def test_a_band_that_does_not_fit_the_task_is_refused(threshold, band, fits):
    manifest, _ = parts()
    task = manifest.task if threshold is not None else replace(manifest.task, positive=None)
    data = packed(task=task, operating_point=OperatingPoint(threshold, abstention=band))
    if fits:
        found = open_bundle(data, (), allow_unsigned=True).manifest
        assert found.operating_point.abstention == band
    else:
        with pytest.raises(GateFailed, match="the band without an answer"):
            open_bundle(data, (), allow_unsigned=True)


def test_an_unknown_signer_is_refused(signed, tmp_path):
    _, public, _ = signing.keygen(tmp_path)
    for trusted in (set(), {signing.read_public(public)}):
        with pytest.raises(GateFailed, match="not trusted"):
            open_bundle(signed, trusted)


def test_an_unsigned_bundle_says_so_and_is_refused_where_signatures_are_asked_for():
    bundle = open_bundle(packed(), (), allow_unsigned=True)
    assert bundle.signer is None
    assert "UNSIGNED" in bundle.signed
    with pytest.raises(GateFailed, match="unsigned"):
        open_bundle(packed(), ())


def test_the_same_parts_give_the_same_bytes(keys):
    assert packed(keys[0]) == packed(keys[0])


def test_other_zip_programs_read_it(signed):
    with zipfile.ZipFile(io.BytesIO(signed)) as archive:
        assert archive.testzip() is None
        assert archive.namelist()[:3] == ["manifest.json", "manifest.sha256", "manifest.sig"]
        assert archive.read("model/model.tflite") == b"model bytes"


@pytest.mark.parametrize("sealed", [True, False])
def test_every_flipped_bit_is_refused(keys, sealed):
    """Every byte once, a random bit of it, signed and unsigned."""
    data = packed(keys[0] if sealed else None)
    rng = random.Random(1)
    for place in range(len(data)):
        bad = bytearray(data)
        bad[place] ^= 1 << rng.randrange(8)
        with pytest.raises(GateFailed):
            open_bundle(bytes(bad), {keys[1]}, allow_unsigned=True)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 10_000))
def test_any_bytes_are_refused_and_never_crash(noise, at):
    data = packed()
    place = at % len(data)
    mutant = data[:place] + noise + data[place + len(noise):]
    if mutant == data:
        return
    with pytest.raises(GateFailed):
        open_bundle(mutant, (), allow_unsigned=True)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.from_regex(canonical_zip.NAME, fullmatch=True).filter(
    canonical_zip.fits), st.binary(max_size=200), min_size=1, max_size=8))
def test_what_is_built_reads_back(entries):
    data = canonical_zip.build(entries.items())
    assert {n: bytes(v) for n, v in canonical_zip.read(data, "x").items()} == entries


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_attacks_are_refused(attack, signed, keys):
    bad = ATTACKS[attack](signed)
    assert bad != signed
    with pytest.raises(GateFailed):
        open_bundle(bad, {keys[1]}, allow_unsigned=True)


def test_without_its_signature_it_is_unsigned_not_signed(signed, keys):
    stripped = rezip(signed, lambda e: {n: v for n, v in e.items() if n != "manifest.sig"})
    assert open_bundle(stripped, {keys[1]}, allow_unsigned=True).signer is None
    with pytest.raises(GateFailed, match="unsigned"):
        open_bundle(stripped, {keys[1]})


def test_a_signature_of_another_bundle_does_not_fit(signed, keys):
    other = packed(keys[0], name="another@cpu")
    seal = bytes(canonical_zip.read(other, "x")["manifest.sig"])
    with pytest.raises(GateFailed, match="does not fit"):
        open_bundle(rezip(signed, lambda e: {**e, "manifest.sig": seal}), {keys[1]})


@pytest.mark.parametrize(("changes", "fault"), [
    ({"schema": 3}, "schema 3"),
    ({"kind": "other"}, "schema"),
    ({"task": Task(("a", "a"), None)}, "one twice"),
    ({"task": Task(("malignant", "benign"), "malignant")}, "positive class"),
    ({"task": Task(("a", "b"))}, "threshold does not fit"),
    ({"operating_point": OperatingPoint(threshold=1.0)}, "between 0 and 1"),
    ({"operating_point": OperatingPoint(temperature=0.0)}, "temperature"),
    ({"notice": ""}, "notice"),
    ({"notice": "A medical device"}, "notice"),
    ({"name": ""}, "name is not"),
    ({"name": "net-int8@gpu"}, "name is not"),
    ({"name": "x" * 200_000}, "name is not"),
    ({"model": replace(parts()[0].model, backend="abacus")}, "backend is not one"),
    ({"task": Task(("", "malignant"), "malignant")}, "class without a name"),
])
def test_a_manifest_that_makes_no_sense_is_refused(changes, fault):
    with pytest.raises(GateFailed, match=fault):
        open_bundle(packed(**changes), (), allow_unsigned=True)


@pytest.mark.parametrize(("change", "fault"), [
    (lambda m, f: f.pop("licence.txt"), "licence"),
    (lambda m, f: f.update({"second.txt": ("licence", b"x")}), "licence"),
    (lambda m, f: f.update({"model/model.tflite": ("evidence", b"x")}), "listed as a model"),
    (lambda m, f: f.update({"reference/1.bin": ("reference-pixels", b"short")}), "vectors"),
    (lambda m, f: f.update({"reference.json": ("reference", b'{"vectors": []}')}), "missing"),
    (lambda m, f: f.update({"reference.json": ("reference", b"\xff")}), "UTF-8"),
    (lambda m, f: f.update({"change.json": ("change", b"[]")}), "expected a table"),
])
def test_files_that_do_not_fit_are_refused(change, fault):
    manifest, files = parts()
    change(manifest, files)
    data = writer.pack(manifest, files)
    with pytest.raises(GateFailed, match=fault):
        open_bundle(data, (), allow_unsigned=True)


def test_an_unknown_key_in_the_manifest_is_refused():
    manifest, _ = parts()
    text = codec.to_json(replace(manifest, files={})).replace('"kind"', '"sort"').encode()
    entries = [("manifest.json", text),
               ("manifest.sha256", hashlib.sha256(text).hexdigest().encode())]
    with pytest.raises(GateFailed, match="unknown key"):
        open_bundle(canonical_zip.build(entries), (), allow_unsigned=True)


def test_a_message_names_the_file_and_never_leaks_a_traceback(tmp_path):
    path = tmp_path / "b.zip"
    path.write_bytes(b"PK\x03\x04" + bytes(40))
    with pytest.raises(GateFailed, match=r"b\.zip: "):
        open_bundle(path, (), allow_unsigned=True)
    with pytest.raises(BadInput, match=r"none\.zip"):
        open_bundle(tmp_path / "none.zip", (), allow_unsigned=True)
    with pytest.raises(BadInput, match="cannot be read"):
        open_bundle(tmp_path, (), allow_unsigned=True)


def test_keys_are_made_once_and_private(tmp_path):
    private, public, name = signing.keygen(tmp_path)
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert signing.fingerprint(signing.read_public(public)) == name
    with pytest.raises(BadInput, match="already"):
        signing.keygen(tmp_path)
    with pytest.raises(BadInput, match="public key"):
        signing.read_public(private)
    with pytest.raises(BadInput, match="private key"):
        signing.sign(public, b"x")
    assert reader.keys([public]) == {signing.read_public(public)}


def test_the_app_knows_the_same_backends_and_notice():
    """The two readers accept and refuse the same files."""
    source = (ROOT / "web/src/bundle/manifest.ts").read_text()
    known = re.search(r"BACKENDS = (\[.*?\]);", source, re.DOTALL)
    said = re.search(r'NOTICE = (".*?");', source)
    assert known and sorted(json.loads(known[1])) == sorted(targets.BACKENDS)
    assert said and json.loads(said[1]) == NOTICE
