"""From a run to a bundle to an answer: bundle, verify, install, self-test, predict."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import device_fixture
import pytest
from device_fixture import VARIANT, changed, png
from PIL import Image

from bedside.core import codec
from bedside.runfolder import layout
from bedside.runtime.bundle import signing
from bedside.runtime.bundle.manifest import Reference
from bedside.runtime.bundle.reader import open_bundle
from bedside.runtime.device import Device
from bedside.runtime.litert import CAM, LOGITS, LiteRTModel
from bedside.runtime.preprocess import to_tensor

bedside, cells, keys, file = (device_fixture.bedside, device_fixture.cells, device_fixture.keys,
                              device_fixture.file)


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
    if answer["familiar"]:
        assert answer["probability"] == answer["probabilities"][answer["predicted"]]
    else:  # noise is no image of the kind: no class
        assert answer["predicted"] is answer["probability"] is None
        assert answer["withheld"] == "the image is unlike the training images"
    assert "nothing is known" in document["below_floor"][0]
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
    code, out, err = bedside("bundle", cells, "--target", "cpu", "--variant", VARIANT,
                             "--below-floor", "--out", path)
    assert code == 0, err
    assert "UNSIGNED" in out
    for arguments in (["verify", path], ["predict", path, image], ["install", path]):
        code, out, err = bedside(*arguments)
        assert code == 0, err
        assert "UNSIGNED" in out + err
    code, _, err = bedside("verify", path, "--trust", keys[1])
    assert code == 1
    assert "unsigned" in err


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


def test_nothing_stays_running(file, keys):
    with Device(open_bundle(file, {signing.read_public(keys[1])})) as device:
        process = device._engine._process
    assert process.poll() is not None
