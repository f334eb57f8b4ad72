"""A file that was quantized elsewhere, the whole way to the report."""

from __future__ import annotations

import json

import numpy as np
import pytest
from quantized_models import uint8_classifier

from bedside.cli.app import guarded
from bedside.core import codec
from bedside.core.types import Preprocess
from bedside.runfolder import layout, stored

PX = 16


def _discs(count, seed):
    """Small and large bright discs in noise, each an image of its own."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:PX, :PX]
    images = []
    for i in range(count):
        y, x = rng.uniform(0.35, 0.65, 2) * PX
        disc = (rows - y) ** 2 + (columns - x) ** 2 < (2 + 3 * (i % 2)) ** 2
        images.append(np.clip(rng.normal(90, 30, (PX, PX)) + 90 * disc, 1, 255))
    return np.array(images, np.uint8), (np.arange(count) % 2)[:, None].astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("given")
    parts = {name: _discs(count, seed) for seed, (name, count) in enumerate(
        (("train", 40), ("val", 40), ("test", 60)))}
    np.savez(root / "d.npz", **{f"{n}_images": v[0] for n, v in parts.items()},
             **{f"{n}_labels": v[1] for n, v in parts.items()})
    # The mean of the image: large discs are brighter.
    bright = np.full((2, PX * PX), 12 / PX**2, np.float32) * np.float32([[-1], [1]])
    (root / "bytes.tflite").write_bytes(uint8_classifier("SOFTMAX", PX, weights=bright)[0])
    (root / "pre.toml").write_text(codec.to_toml(Preprocess(PX, PX, 1, normalise="dtype")))
    (root / "s.toml").write_text(
        f'[data]\nsource = "{root}/d.npz"\nclass_names = ["small", "large"]\n'
        'positive = "large"\n'
        "[evaluate]\nrounds = 1\nwarmup = 0\nsamples = 2\n"
        f'[quantized_model]\nfile = "{root}/bytes.tflite"\npreprocess = "{root}/pre.toml"\n')
    assert guarded(["run", "-c", str(root / "s.toml"), "--out", str(root / "run")]) == 0
    return root


def test_it_is_measured_as_any_variant_and_nothing_is_shown_of_it(folder):
    run = folder / "run"
    (row,) = stored.measurements(run)
    assert (row.variant, row.status, row.quantizer) == ("bytes-given", "ok", "quantized elsewhere")
    assert row.metrics["test"]["auroc"].value > 0.9
    assert row.metrics["test"]["auroc"].n == 60
    (variant,) = stored.variants(run)
    assert (variant.input_dtype, variant.output_dtype) == ("uint8", "float32")
    recipe = json.loads((layout.variant_dir(run, variant.id) / layout.RECIPE).read_text())
    assert recipe["cut_off"] == "SOFTMAX"
    said = (layout.report_dir(run) / "index.html").read_text()
    assert "nothing can be shown without its float model" in said
    assert not (layout.model_dir(run, "bytes") / layout.FLOAT_MODEL).exists()


def test_the_same_command_goes_on_and_makes_nothing_again(folder, capsys):
    before = {p: p.stat().st_mtime_ns for p in (folder / "run" / "variants").rglob("*")}
    assert guarded(["run", "--out", str(folder / "run")]) == 0
    capsys.readouterr()
    assert {p: p.stat().st_mtime_ns for p in (folder / "run" / "variants").rglob("*")} == before


def test_a_variant_of_it_answers_an_image(folder, tmp_path, capsys):
    from PIL import Image

    with np.load(folder / "d.npz") as data:
        Image.fromarray(data["test_images"][1]).save(tmp_path / "large.png")
    code = guarded(["predict", str(folder / "run" / "variants" / "bytes-given"),
                    str(tmp_path / "large.png"), "--json"])
    assert code == 0
    assert json.loads(capsys.readouterr().out)
