"""A tiny run with two measured cells, keys, a signed bundle and the command line."""

from __future__ import annotations

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from bedside import schemes
from bedside.cli import app
from bedside.core.study import EvaluateConfig
from bedside.runtime.bundle import signing, writer
from bedside.runtime.bundle.reader import open_bundle
from bedside.stages import build, quantize
from bedside.stages.bundle import build as deploy
from bedside.stages.evaluate.stage import evaluate

VARIANT = "resnet34-dynamic"


def png(seed=0, size=(40, 50)):
    rng = np.random.default_rng(seed)
    out = io.BytesIO()
    Image.fromarray(rng.normal(120, 25, size).clip(0, 255).astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="module")
def cells(tiny_run, tmp_path_factory):
    """A run with two measured cells."""
    run = tmp_path_factory.mktemp("device") / "run"
    shutil.copytree(tiny_run, run)
    for scheme in ("float32", "dynamic"):
        quantize.quantize(run, "resnet34", schemes.parse(scheme), None, None)
        build.build(run, f"resnet34-{scheme}", "cpu")
    evaluate(run, [("resnet34-float32", "cpu"), (VARIANT, "cpu")],
             EvaluateConfig(rounds=1, warmup=0, samples=1))
    return run


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return signing.keygen(tmp_path_factory.mktemp("keys"))[:2]


@pytest.fixture(scope="module")
def file(cells, keys, tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "b.zip"
    path.write_bytes(deploy.make(cells, "cpu", VARIANT, key=keys[0],
                                 below_floor=True)[0])
    return path


@pytest.fixture
def bedside(capsys, monkeypatch, tmp_path):
    """The command line, with a store of the test's own."""
    monkeypatch.setenv("BEDSIDE_STORE", str(tmp_path / "store"))

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            app.main([str(a) for a in arguments])
        output = capsys.readouterr()
        assert "Traceback" not in output.err
        return caught.value.code, output.out, output.err

    return run


def changed(file, keys, edit):
    """The bundle with its parts edited, sealed anew by its own signer."""
    bundle = open_bundle(file, {signing.read_public(keys[1])})
    files = {n: (f.role, bytes(bundle.files[n])) for n, f in bundle.manifest.files.items()}
    manifest = edit(bundle.manifest, files) or bundle.manifest
    return writer.pack(manifest, files, keys[0])
