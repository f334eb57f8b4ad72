"""Answers for images on this device."""

from __future__ import annotations

import pytest
from device_fixture import cells, file, keys, png  # noqa: F401
from PIL import Image

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
