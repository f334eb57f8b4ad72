"""From a run to a bundle to an answer: bundle, verify, install, self-test, predict."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from dataclasses import replace

import device_fixture
import pytest
from bundle_fixture import packed
from device_fixture import VARIANT, png
from PIL import Image
from zip_attacks import ATTACKS

from bedside.card.facts import Facts
from bedside.core import codec
from bedside.core.build import Variant
from bedside.core.errors import BadInput, GateFailed
from bedside.runfolder import artefact, layout
from bedside.runtime import engine as engines
from bedside.runtime import store as stores
from bedside.runtime.bundle import manifest, signing, writer
from bedside.runtime.bundle.manifest import Reference
from bedside.runtime.bundle.reader import open_bundle
from bedside.runtime.device import Device
from bedside.runtime.litert import CAM, LOGITS, LiteRTModel
from bedside.runtime.preprocess import to_tensor
from bedside.stages.bundle import build as deploy

bedside, cells, keys, file = (device_fixture.bedside, device_fixture.cells, device_fixture.keys,
                              device_fixture.file)


def test_a_variant_made_anew_since_it_was_measured_gets_no_bundle(cells, tmp_path):
    """Its evidence would be that of other weights."""
    run = tmp_path / "run"
    shutil.copytree(cells, run)
    folder = layout.variant_dir(run, VARIANT)
    made = codec.read_json(Variant, folder / layout.VARIANT)
    assert deploy.cell(run, VARIANT, "cpu").variant == made
    with artefact.writing(folder, "quantize", "anew") as scratch:
        shutil.copyfile(folder / layout.VARIANT_MODEL, scratch / layout.VARIANT_MODEL)
        artefact.write_text(scratch / layout.VARIANT, codec.to_json(
            replace(made, sha256="0" * 64)))
    with pytest.raises(BadInput, match="made anew since it was measured") as caught:
        deploy.make(run, "cpu", VARIANT)
    assert "bedside evaluate" in caught.value.remedy


def changed(file, keys, edit):
    """The bundle with its parts edited, sealed anew by its own signer."""
    bundle = open_bundle(file, {signing.read_public(keys[1])})
    files = {n: (f.role, bytes(bundle.files[n])) for n, f in bundle.manifest.files.items()}
    manifest = edit(bundle.manifest, files) or bundle.manifest
    return writer.pack(manifest, files, keys[0])


def test_a_bundle_holds_the_build_and_no_image_of_the_data(cells, file, keys):
    bundle = open_bundle(file, {signing.read_public(keys[1])}, allow_unsigned=False)
    model = bundle.manifest.model
    assert (model.variant, model.target, model.backend, model.cam) == (VARIANT, "cpu", "cpu", True)
    stored = layout.variant_dir(cells, VARIANT) / "model.tflite"
    assert bytes(bundle.files[model.file]) == stored.read_bytes()
    pictures = [bytes(bundle.files[n]) for n in bundle.named("reference-pixels")]
    with layout.pixel_store(cells, bundle.manifest.preprocess) as store:
        assert not {store.pixels(i).tobytes() for i in store.ids} & set(pictures)
    text = b"".join(bytes(v) for n, v in bundle.files.items() if n.endswith((".json", ".md")))
    assert not [c.id for c in layout.cases(cells) if c.id.encode() in text]
    assert str(cells).encode() not in file.read_bytes()


def test_the_same_run_gives_the_same_bytes(cells, file, keys):
    assert deploy.make(cells, "cpu", VARIANT, key=keys[0])[0] == file.read_bytes()


def test_predict_answers_as_the_interpreter_does(bedside, cells, file, keys, tmp_path):
    image = tmp_path / "scan.png"
    image.write_bytes(png())
    code, out, _ = bedside("predict", file, image, "--trust", keys[1], "--json", "--cam",
                           tmp_path / "cams")
    assert code == 0
    document = json.loads(out)
    answer = document["answers"][0]
    bundle = open_bundle(file, {signing.read_public(keys[1])})
    model = LiteRTModel(layout.variant_dir(cells, VARIANT) / "model.tflite")
    outputs = model.run(to_tensor(png(), bundle.manifest.preprocess))
    assert answer["logits"] == outputs[LOGITS][0].tolist()
    assert sum(answer["probabilities"].values()) == pytest.approx(1)
    assert answer["probability"] == answer["probabilities"][answer["predicted"]]
    assert answer["threshold"] == document["threshold"] == 0.5
    assert document["bundle"]["signed"]
    assert document["self_test"]["largest_difference"] <= document["self_test"]["tolerance"]
    assert answer["familiar"] in (True, False)
    with Image.open(answer["overlay"]) as overlay:
        assert overlay.size == (50, 40)
        assert overlay.mode == "RGB"
    assert "scan" not in answer["overlay"]
    with Device(bundle) as device:
        raw = device.image(png(), "x")[1]
    assert raw.cam == outputs[CAM][0].astype("<f4").tobytes()


def test_predict_reads_folders_standard_input_and_variants(bedside, cells, file, keys, tmp_path,
                                                           monkeypatch):
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(2):
        (folder / f"{i}.png").write_bytes(png(i))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(png(1))))
    code, out, _ = bedside("predict", file, folder, "-", "--trust", keys[1], "--json")
    answers = json.loads(out)["answers"]
    assert code == 0
    assert [a["image"] for a in answers] == [str(folder / "0.png"), str(folder / "1.png"), "-"]
    assert answers[1]["logits"] == answers[2]["logits"]
    code, out, err = bedside("predict", layout.variant_dir(cells, VARIANT), folder, "--json")
    assert code == 0, err
    assert json.loads(out)["answers"][0]["logits"] == answers[0]["logits"]
    code, out, err = bedside("predict", file, folder, "--trust", keys[1])
    assert code == 0
    assert "0.png" in out
    assert "self-test passed" in err
    assert "not a medical device" in err


@pytest.mark.parametrize(("content", "fault"), [
    (b"", "empty"), (b"not an image", "not a readable image"), (None, "no such file")])
def test_predict_names_the_image_that_does_not_read(bedside, file, keys, tmp_path, content, fault):
    image = tmp_path / "x.png"
    if content is not None:
        image.write_bytes(content)
    code, out, err = bedside("predict", file, image, "--trust", keys[1])
    assert (code, out) == (2, "")
    assert "x.png" in err
    assert fault in err
    assert err.count("\n") == 1


def test_an_unknown_signer_is_refused_everywhere(bedside, file, tmp_path):
    image = tmp_path / "x.png"
    image.write_bytes(png())
    for arguments in (["verify", file], ["install", file], ["predict", file, image]):
        code, out, err = bedside(*arguments)
        assert (code, out) == (1, "")
        assert "not trusted" in err
        assert "--trust" in err
    assert not (tmp_path / "store").exists()


def test_an_unsigned_bundle_says_so(bedside, cells, keys, tmp_path):
    path, image = tmp_path / "u.zip", tmp_path / "x.png"
    image.write_bytes(png())
    code, out, err = bedside("bundle", cells, "--target", "cpu", "--variant", VARIANT, "--out",
                             path)
    assert code == 0, err
    assert "UNSIGNED" in out
    for arguments in (["verify", path], ["predict", path, image], ["install", path]):
        code, out, err = bedside(*arguments)
        assert code == 0, err
        assert "UNSIGNED" in out + err
    code, _, err = bedside("verify", path, "--trust", keys[1])
    assert code == 1
    assert "unsigned" in err


def test_an_unsigned_bundle_before_is_refused_where_keys_are_named(bedside, cells, keys, tmp_path):
    before, out = tmp_path / "before.zip", tmp_path / "after.zip"
    before.write_bytes(packed())
    asked = ("bundle", cells, "--target", "cpu", "--variant", VARIANT, "--out", out,
             "--against", before)
    code, _, err = bedside(*asked, "--trust", keys[1])
    assert code == 1
    assert "unsigned" in err
    assert not out.exists()
    assert bedside(*asked, "--key", keys[0])[0] == 0, "without --trust it is taken"


def test_install_switches_only_to_what_passed(bedside, cells, file, keys, tmp_path):
    code, out, _ = bedside("install", file, "--trust", keys[1], "--json")
    assert code == 0
    first = json.loads(out)["id"]
    flipped = bytearray(file.read_bytes())
    flipped[len(flipped) // 2] ^= 4
    other = changed(file, keys, lambda m, f: f.update({"licence.txt": ("licence", b"other")}))
    wrong = changed(file, keys, lambda m, f: replace(m, operating_point=replace(
        m.operating_point, threshold=2.0)))
    broken = changed(file, keys, lambda m, f: f.update(
        {m.model.file: ("model", f[m.model.file][1][:-500])}))
    for bad in (bytes(flipped), wrong, broken, b"", file.read_bytes()[:-1]):
        (tmp_path / "bad.zip").write_bytes(bad)
        code, out, err = bedside("install", tmp_path / "bad.zip")
        assert (code, out) == (1, ""), err
        assert stores.installed(tmp_path / "store") == ([first], first)
    (tmp_path / "other.zip").write_bytes(other)
    code, out, _ = bedside("install", tmp_path / "other.zip", "--json")
    second = json.loads(out)["id"]
    assert stores.installed(tmp_path / "store") == (sorted([first, second]), second)
    code, out, _ = bedside("installed", "--activate", first[:6], "--json")
    assert json.loads(out)["active"] == first
    image = tmp_path / "x.png"
    image.write_bytes(png())
    for name in ("active", first, second[:8]):
        code, out, err = bedside("predict", name, image, "--json")
        assert code == 0, err
    assert json.loads(out)["bundle"]["id"] == second
    code, _, err = bedside("predict", "ffffffff", image)
    assert code == 2
    assert "installed" in err
    assert not list((tmp_path / "store").rglob("*.part"))


def test_a_store_without_bundles_says_so_and_a_file_is_none(bedside, tmp_path):
    code, out, _ = bedside("installed", "--store", tmp_path / "bare")
    assert code == 0 and "no bundle is installed in" in out
    code, out, _ = bedside("installed", "--store", tmp_path / "bare", "--json")
    assert code == 0 and json.loads(out)["bundles"] == []
    (tmp_path / "file").write_text("")
    code, out, err = bedside("installed", "--store", tmp_path / "file")
    assert (code, out) == (2, "") and "a file, and a store of bundles is a folder" in err


def test_no_attack_on_a_bundle_leaves_a_file_or_another_active_one(bedside, file, keys, tmp_path):
    """The attacks of test_bundle.py through ``install``."""
    private = signing.keygen(tmp_path / "attacker")[0]
    store = tmp_path / "store"
    assert bedside("install", file, "--trust", keys[1], "--store", store)[0] == 0
    good = packed(keys[0])
    (tmp_path / "bad.zip").touch()
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    attacks = {**ATTACKS, "signed by another": lambda d: packed(private)}
    for name, attack in attacks.items():
        (tmp_path / "bad.zip").write_bytes(attack(good))
        code, out, err = bedside("install", tmp_path / "bad.zip", "--store", store)
        assert (code, out) == (1, ""), name
        assert err.count("\n") == 1, name
        after = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
        assert {**after, tmp_path / "bad.zip": b""} == before, name


def _on_a_full_disk(*arguments):
    """The command where writes past 100 kB fail at any place (200 blocks of 512 bytes)."""
    return subprocess.run(
        ["sh", "-c", 'ulimit -f 200; exec "$@"', "sh", sys.executable, "-m", "bedside",
         *map(str, arguments)], capture_output=True, text=True, check=False)


def test_a_full_disk_leaves_the_active_bundle_and_no_half_one(bedside, cells, file, keys, tmp_path):
    assert bedside("install", file, "--trust", keys[1])[0] == 0
    before = stores.installed(tmp_path / "store")
    (tmp_path / "other.zip").write_bytes(
        changed(file, keys, lambda m, f: f.update({"licence.txt": ("licence", b"other")})))
    for arguments in (("install", tmp_path / "other.zip"),
                      ("bundle", cells, "--target", "cpu", "--variant", VARIANT, "--out",
                       tmp_path / "new.zip")):
        done = _on_a_full_disk(*arguments)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        assert "past the limit" in done.stderr.splitlines()[-1]
    assert stores.installed(tmp_path / "store") == before
    assert not (tmp_path / "new.zip").exists()
    assert not list(tmp_path.rglob("*.part"))


def test_a_bundle_changed_in_the_store_is_refused(bedside, file, keys, tmp_path):
    assert bedside("install", file, "--trust", keys[1])[0] == 0
    stored = next((tmp_path / "store" / "bundles").glob("*.zip"))
    data = bytearray(stored.read_bytes())
    data[-100] ^= 1
    stored.write_bytes(bytes(data))
    image = tmp_path / "x.png"
    image.write_bytes(png())
    assert bedside("predict", "active", image)[0] == 1


def test_a_device_that_differs_does_not_answer(bedside, file, keys, tmp_path):
    def other_logits(manifest, files):
        reference = codec.decode(Reference, json.loads(files["reference.json"][1]))
        first = reference.vectors[0]
        off = tuple(v + 1.5 * reference.logit_tolerance for v in first.logits)
        files["reference.json"] = ("reference", codec.to_json(replace(
            reference, vectors=(replace(first, logits=off), *reference.vectors[1:]))).encode())

    def other_resize(manifest, files):
        pixels = bytearray(files["reference/2.bin"][1])
        pixels[7] ^= 8
        files["reference/2.bin"] = ("reference-pixels", bytes(pixels))

    image = tmp_path / "x.png"
    image.write_bytes(png())
    for edit, words in ((other_logits, "reference logits differ"),
                        (other_resize, "read differently")):
        path = tmp_path / "b.zip"
        path.write_bytes(changed(file, keys, edit))
        for arguments in (["predict", path, image], ["install", path]):
            code, out, err = bedside(*arguments, "--trust", keys[1])
            assert (code, out) == (1, "")
            assert "self-test failed" in err
            assert words in err


def test_the_recommended_variant_is_taken(cells, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(cells, run)
    with pytest.raises(BadInput, match="--variant"):
        deploy.make(run, "cpu", None)
    text = codec.to_json({"recommendations": [
        {"target": "cpu", "chosen": "resnet34-float32"}, {"target": "cpu-1", "chosen": None}]})
    with artefact.writing(run, "recommend", "k") as scratch:
        artefact.write_text(scratch / "recommendation.json", text)
    assert deploy.recommended(run, "cpu") == "resnet34-float32"
    for target in ("cpu-1", "gpu"):
        with pytest.raises(BadInput, match="recommend"):
            deploy.recommended(run, target)
    with pytest.raises(BadInput, match="no variant 'nope'"):
        deploy.make(run, "cpu", "nope")
    with pytest.raises(BadInput, match="unknown target"):
        deploy.make(run, "cpus", VARIANT)


def test_the_change_record_names_what_changed_and_tests_it(cells, file, keys, tmp_path):
    previous = open_bundle(file, {signing.read_public(keys[1])})
    _, made = deploy.make(cells, "cpu", "resnet34-float32", key=keys[0], against=previous)
    record = json.loads(bytes(made.files["change.json"]))
    assert record["previous"] == previous.id
    assert {"name", "model", "model file"} <= set(record["changed"])
    test = record["comparison"]
    before = layout.predictions(cells, VARIANT, "cpu").of("test")
    after = layout.predictions(cells, "resnet34-float32", "cpu").of("test")
    right = [(p.logits[:, 1] >= p.logits[:, 0]) == p.labels for p in (before, after)]
    assert test["images"] == len(before.ids)
    assert test["lost"] == (right[0] & ~right[1]).sum()
    assert test["gained"] == (~right[0] & right[1]).sum()
    assert test["right_after"] == right[1].sum()
    assert test["answer"] in ("not shown", None)
    assert test["sensitivity_difference"] == pytest.approx(
        right[1][before.labels == 1].mean() - right[0][before.labels == 1].mean())
    # No image differs: then McNemar's test does not exist, and says so.
    assert (test["p_value"] is None) == (test["lost"] + test["gained"] == 0)
    with pytest.raises(BadInput, match="predictions are not in the run"):
        deploy.make(cells, "cpu", VARIANT, key=keys[0], against=previous,
                    against_run=_without(cells, tmp_path))


def _without(cells, tmp_path):
    run = tmp_path / "other"
    shutil.copytree(cells, run)
    shutil.rmtree(run / "measurements")
    return run


def test_an_engine_that_dies_or_hangs_is_one_message():
    with engines.Engine() as engine:
        engine._process.kill()
        with pytest.raises(GateFailed, match="ended by itself"):
            engine.image(png(), "x")
    with engines.Engine() as engine, pytest.raises(GateFailed, match="took longer"):
        engine.image(png(size=(3000, 3000)), "x", timeout_s=0.001)


def test_nothing_stays_running(file, keys):
    with Device(open_bundle(file, {signing.read_public(keys[1])})) as device:
        process = device._engine._process
    assert process.poll() is not None


def test_nothing_that_was_edited_goes_into_a_bundle(cells, tmp_path):
    """The signature would vouch for what no stage made."""
    run = tmp_path / "run"
    shutil.copytree(cells, run)
    chosen = codec.to_json({"recommendations": [{"target": "cpu", "chosen": VARIANT}]})
    with artefact.writing(run, "recommend", "k") as scratch:
        artefact.write_text(scratch / "recommendation.json", chosen)
    with artefact.writing(run / "evidence" / "resnet34", "evidence", "k") as scratch:
        for name in ("operating_point", "comparisons", "statistics"):
            artefact.write_text(scratch / f"{name}.json", "{}")
    def unproven(run):
        shutil.rmtree(run / "evidence")  # made up above: its threshold came from no predictions
        return deploy.make(run, "cpu", VARIANT)

    cell = deploy.cell(run, VARIANT, "cpu")
    measured = layout.measurement_dir(run, VARIANT, "cpu")
    point = manifest.OperatingPoint(0.5)
    for path, read in (
            (run / "recommendation.json", lambda: deploy.recommended(run, "cpu")),
            (measured / layout.PREDICTIONS, lambda: deploy.cell(run, VARIANT, "cpu")),
            (run / "evidence/resnet34/operating_point.json",
             lambda: deploy.operating_point(cell)),
            (run / "evidence/resnet34/statistics.json",
             lambda: deploy._evidence(cell, point, None)),
            (layout.data_dir(run) / layout.CASES, lambda: unproven(run))):
        before = path.read_bytes()
        path.write_bytes(before[:-1] + b" ")
        with pytest.raises(BadInput, match=rf"{path.name}.*hash"):
            read()
        path.write_bytes(before)


def test_a_study_that_is_not_toml_is_named(cells, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(cells, run)
    layout.study_file(run).write_text("seed = = 1")
    facts = Facts(run, "resnet34", (), ())
    with pytest.raises(BadInput, match=r"study\.toml.*TOML"):
        facts.document("study.toml")
