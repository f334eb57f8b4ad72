"""``predict`` beyond pictures: DICOM, many images at once, and the measures of quality."""

from __future__ import annotations

import json
import time

import device_fixture
import dicom_fixture
import numpy as np
import pytest
from device_fixture import VARIANT, png

from bedside.core.errors import BadInput, GateFailed
from bedside.runfolder import layout
from bedside.runtime import engine as engines
from bedside.runtime.bundle import signing
from bedside.runtime.bundle.reader import open_bundle
from bedside.runtime.device import Device
from bedside.runtime.litert import LOGITS, LiteRTModel
from bedside.runtime.preprocess import normalise, resize

bedside, cells, keys, file = (device_fixture.bedside, device_fixture.cells, device_fixture.keys,
                              device_fixture.file)


@pytest.fixture(scope="module")
def bundle(file, keys):
    return open_bundle(file, {signing.read_public(keys[1])})


def test_dicom_is_answered_as_its_pixels(bedside, cells, bundle, file, keys, tmp_path):
    """8 and 12 bits, with and without a suffix, between pictures, in the order given."""
    rng = np.random.default_rng(4)
    grey = rng.integers(5, 250, (44, 52), dtype=np.uint8)
    deep = rng.integers(100, 4000, (40, 36)).astype(np.uint16)
    dicom_fixture.write(tmp_path / "b.dcm", grey)
    dicom_fixture.write(tmp_path / "scan", deep, BitsStored=12, HighBit=11)
    (tmp_path / "a.png").write_bytes(png(1))
    (tmp_path / "c.png").write_bytes(png(2))
    given = [tmp_path / n for n in ("a.png", "b.dcm", "scan", "c.png")]
    code, out, err = bedside("predict", file, *given, "--trust", keys[1], "--json", "--cam",
                             tmp_path / "cams")
    assert code == 0, err
    answers = json.loads(out)["answers"]
    assert [a["image"] for a in answers] == [str(p) for p in given]
    model = LiteRTModel(layout.variant_dir(cells, VARIANT) / "model.tflite")
    spec = bundle.manifest.preprocess
    wanted = model.run(normalise(resize(grey, spec), spec)[None])[LOGITS][0]
    np.testing.assert_allclose(answers[1]["logits"], wanted, atol=1e-5)
    assert answers[2]["logits"] != answers[1]["logits"]
    assert "12345" not in out + err, "no patient's number"
    assert len(list((tmp_path / "cams").glob("*.png"))) == 4


def test_dicom_without_its_extra_says_what_to_install(bedside, file, keys, tmp_path, monkeypatch):
    dicom_fixture.write(tmp_path / "b.dcm", np.full((20, 20), 9, np.uint8))
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec",
                        lambda name, *a: None if name == "pydicom" else real(name, *a))
    code, out, err = bedside("predict", file, tmp_path / "b.dcm", "--trust", keys[1])
    assert (code, out) == (3, "")
    assert "pydicom" in err
    assert "pip install" in err


def test_damaged_dicom_is_one_message(bedside, file, keys, tmp_path):
    (tmp_path / "b.dcm").write_bytes(bytes(128) + b"DICM" + bytes(50))
    code, out, err = bedside("predict", file, tmp_path / "b.dcm", "--trust", keys[1])
    assert (code, out) == (2, "")
    assert "b.dcm" in err
    assert err.count("\n") == 1


def test_many_images_are_answered_as_one_by_one_in_order(bundle):
    """More than are handed over ahead, and one far larger than a pipe holds."""
    data = [png(i, (30 + i, 50)) for i in range(7)] + [png(9, (900, 900)), png(10)]
    with Device(bundle) as device:
        single = [device.image(d, str(i)) for i, d in enumerate(data)]
        many = list(device.images((str(i), d) for i, d in enumerate(data)))
        assert [a for a, _ in many] == [a for a, _ in single]
        assert [r for _, r in many] == [r for _, r in single]
        assert list(device.images([])) == []
        # The engine still answers afterwards.
        assert device.image(data[0], "0")[0] == single[0][0]


def test_one_bad_image_among_many_is_named_and_ends_the_engine(bundle):
    with Device(bundle) as device:
        pairs = [(f"{i}.png", png(i)) for i in range(3)] + [("bad.png", b"no image")] \
            + [(f"{i}.png", png(i)) for i in range(3)]
        answered = []
        with pytest.raises(BadInput, match=r"bad\.png: not a readable image"):
            for answer, _ in device.images(pairs):
                answered.append(answer.image)
        assert answered == ["0.png", "1.png", "2.png"]
        with pytest.raises(GateFailed):
            device.image(png(), "x")


def test_the_clock_of_an_answered_request_is_taken_back():
    ended = []
    clock = engines._Clock(lambda: ended.append(1))
    for _ in range(3):
        with clock.limit(0.05):
            pass
    time.sleep(0.2)
    assert not ended
    with clock.limit(30.0):
        pass
    with clock.limit(0.05):
        time.sleep(0.5)
    assert ended == [1]
    assert clock.late
    clock.stop()


def test_an_engine_that_dies_or_hangs_is_one_message():
    with engines.Engine() as engine:
        engine._process.kill()
        with pytest.raises(GateFailed, match="ended by itself"):
            engine.image(png(), "x")
    with engines.Engine() as engine, pytest.raises(GateFailed, match="took longer"):
        engine.image(png(size=(3000, 3000)), "x", timeout_s=0.001)
