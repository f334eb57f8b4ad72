"""Answers for images on this device."""

from __future__ import annotations

import json

import pytest
from device_fixture import cells, file, keys, png  # noqa: F401
from PIL import Image

from bedside.cli import app
from bedside.core.errors import BadInput
from bedside.flows.predict import predict
from bedside.runfolder import layout


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for n in range(3):
        (folder / f"{n}.png").write_bytes(png(n))
    (folder / "notes.txt").write_text("no image")
    return folder


def test_a_bundle_answers_every_image_of_a_folder_in_order(file, keys, images, tmp_path):  # noqa: F811
    result = predict(file, [images], trust=(keys[1],), store=tmp_path / "store",
                     cam=tmp_path / "cam")
    assert [a.image for a in result.answers] == [str(images / f"{n}.png") for n in range(3)]
    assert result.facts["bundle"]["signed"] is True
    assert "self-test passed" in result.remark
    overlays = sorted((tmp_path / "cam").iterdir())
    assert len(overlays) == 3
    with Image.open(overlays[0]) as overlay:
        assert overlay.format == "PNG"


def test_a_variant_gives_the_answers_of_its_bundle(cells, file, keys, images, tmp_path):  # noqa: F811
    folder = layout.variant_dir(cells, "resnet34-dynamic")
    store = tmp_path / "store"
    by_variant = predict(folder, [images], store=store)
    by_bundle = predict(file, [images], trust=(keys[1],), store=store)
    assert [a.logits for a in by_variant.answers] == [a.logits for a in by_bundle.answers]
    assert by_variant.facts["threshold"] is None


def test_what_is_no_image_is_refused_with_its_name(cells, images, tmp_path):  # noqa: F811
    folder = layout.variant_dir(cells, "resnet34-dynamic")
    with pytest.raises(BadInput, match="no such file") as caught:
        predict(folder, [images / "gone.png"], store=tmp_path)
    assert "gone.png" in caught.value.message
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="no PNG, JPEG"):
        predict(folder, [tmp_path / "empty"], store=tmp_path)


def test_a_bad_file_costs_no_other_its_answer(cells, images, tmp_path):  # noqa: F811
    folder = layout.variant_dir(cells, "resnet34-dynamic")
    (images / "0b.png").write_bytes(b"")
    (images / "1b.jpg").write_bytes(b"no image")
    (images / "1c.dcm").write_bytes(b"\0" * 128 + b"DICM and nothing else")
    (images / "2_mask.png").write_bytes(png(9))  # an annotation of 2.png
    (images / "9_mask.png").write_bytes(png(8))  # of no image here: it is one itself
    found = predict(folder, [images], store=tmp_path / "store")
    assert [a.image.rpartition("/")[2] for a in found.answers] == [
        "0.png", "1.png", "2.png", "9_mask.png"]
    assert [f.image.rpartition("/")[2] for f in found.failed] == ["0b.png", "1b.jpg", "1c.dcm"]
    assert all(f.fault and f.remedy is not None for f in found.failed)
    assert "empty" in found.failed[0].fault
    assert found.masks == 1
    alone = predict(folder, [images / "0.png"], store=tmp_path / "store")
    assert alone.answers[0].logits == found.answers[0].logits


def test_the_command_prints_every_row_and_ends_with_2(cells, images, tmp_path, capsys):  # noqa: F811
    folder = layout.variant_dir(cells, "resnet34-dynamic")
    (images / "1b.jpg").write_bytes(b"no image")
    with pytest.raises(SystemExit) as ended:
        app.main(["predict", str(folder), str(images), "--store", str(tmp_path / "s"), "--json"])
    said = capsys.readouterr()
    assert ended.value.code == 2
    document = json.loads(said.out)
    assert len(document["answers"]) == 3
    assert [f["image"].rpartition("/")[2] for f in document["failed"]] == ["1b.jpg"]
    assert "1 image without an answer" in said.err
    with pytest.raises(SystemExit) as ended:
        app.main(["predict", str(folder), str(images), "--store", str(tmp_path / "s")])
    assert ended.value.code == 2
    assert "failed" in capsys.readouterr().out
