"""The wheel in clean virtual environments: the device runtime alone, and the workbench."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from app_fixture import make_bundle
from PIL import Image

from bedside import schemes
from bedside.runfolder import layout
from bedside.stages import quantize

ROOT = Path(__file__).resolve().parents[2]
MB = 1_000_000

pytestmark = pytest.mark.xdist_group("packaging")


def _environment(folder: Path) -> Path:
    venv.create(folder, with_pip=True)
    return folder / "bin"


def _run(*command, check=True, **keywords):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=clean,
                          check=False, **keywords)
    assert not check or done.returncode == 0, done.stderr[-2000:]
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__"))
    _run(sys.executable, "-m", "build", "--wheel", "--outdir", source / "dist", source)
    (built,) = (source / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def device(tmp_path_factory, wheel):
    """A device: the wheel and what it depends on, nothing else."""
    bin_ = _environment(tmp_path_factory.mktemp("device") / "venv")
    _run(bin_ / "pip", "install", "-q", "-c", ROOT / "constraints.txt", wheel)
    return bin_


def test_the_runtime_alone_answers_an_image(device, tiny_run, tmp_path):
    quantize.quantize(tiny_run, "resnet34", schemes.parse("float32"), None, None)
    folder = layout.variant_dir(tiny_run, "resnet34-float32")
    Image.effect_noise((50, 40), 60).save(tmp_path / "scan.png")
    done = _run(device / "bedside", "predict", folder, tmp_path / "scan.png", "--json",
                cwd=tmp_path)
    answer = json.loads(done.stdout)["answers"][0]
    assert answer["predicted"] in ("benign", "malignant")
    assert sum(answer["probabilities"].values()) == pytest.approx(1.0)
    table = _run(device / "bedside", "predict", folder, tmp_path / "scan.png", cwd=tmp_path)
    assert answer["predicted"] in table.stdout


def test_the_wheel_carries_the_app_built(wheel, device, tiny_run, tmp_path):
    """And the runtime alone exports it, with LiteRT.js's four builds unpacked."""
    app = {n.removeprefix("bedside/services/app/dist/") for n in zipfile.ZipFile(wheel).namelist()
           if n.startswith("bedside/services/app/dist/")}
    assert {"index.html", "lab.html", "sw.js", "manifest.webmanifest"} <= app
    engines = {n for n in app if n.endswith(".wasm.gz")}
    assert len(engines) == 4
    assert any(n.startswith("assets/worker-") for n in app)
    quantize.quantize(tiny_run, "resnet34", schemes.parse("float32"), None, None)
    (tmp_path / "b.zip").write_bytes(make_bundle(tiny_run, "resnet34-float32"))
    _run(device / "bedside", "web", tmp_path / "b.zip", "--out", tmp_path / "site", cwd=tmp_path)
    assert (tmp_path / "site" / "index.html").is_file()
    assert {f"{p.name}.gz" for p in (tmp_path / "site" / "wasm").glob("*.wasm")} == {
        Path(n).name for n in engines}


def test_a_source_install_without_npm_says_what_to_run(tiny_run, tmp_path):
    """The sources without the built app: ``web`` names the command; ``make app`` names npm."""
    source = tmp_path / "source"
    shutil.copytree(ROOT / "src", source / "src",
                    ignore=shutil.ignore_patterns("__pycache__", "dist"))
    quantize.quantize(tiny_run, "resnet34", schemes.parse("float32"), None, None)
    (tmp_path / "b.zip").write_bytes(make_bundle(tiny_run, "resnet34-float32"))
    done = subprocess.run(
        [sys.executable, "-m", "bedside", "web", "b.zip", "--out", "site"], cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(source / "src")}, capture_output=True, text=True,
        check=False)
    assert done.returncode == 3
    assert "make app" in done.stderr
    assert "Node.js 20 and npm" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "site").exists()
    shutil.copy(ROOT / "Makefile", source)
    shutil.copytree(ROOT / "web", source / "web", ignore=shutil.ignore_patterns("node_modules"))
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "find", "touch", "make"):
        (tools / name).symlink_to(str(shutil.which(name)))
    made = subprocess.run([tools / "make", "app"], cwd=source, env={"PATH": str(tools)},
                          capture_output=True, text=True, check=False)
    assert made.returncode != 0
    assert "needs Node.js 20 or newer and npm" in made.stdout


def test_the_runtime_has_no_torch_and_stays_small(device):
    names = _run(device / "pip", "list", "--format", "json").stdout
    installed = {p["name"].lower() for p in json.loads(names)}
    assert not installed & {"torch", "litert-torch", "litert-quantizer", "monai", "matplotlib",
                            "scipy"}
    site = next((device.parent / "lib").glob("python*/site-packages"))
    size = sum(p.stat().st_size for p in site.rglob("*")
               if p.is_file() and "__pycache__" not in p.parts
               and p.relative_to(site).parts[0] not in ("pip", "setuptools"))
    assert size < 220 * MB


def test_the_runtime_says_what_is_missing_for_training(device, tmp_path):
    done = _run(device / "bedside", "demo", "--out", tmp_path / "run", check=False)
    assert done.returncode == 3
    assert "bedside[workbench]" in done.stderr
    assert not (tmp_path / "run").exists()


def test_the_workbench_extra_brings_everything(tmp_path_factory, wheel, tmp_path):
    bin_ = _environment(tmp_path_factory.mktemp("bench") / "venv")
    constraints = ROOT / "constraints.txt"
    _run(bin_ / "pip", "install", "-q", "torch==2.13.0", "-c", constraints)
    _run(bin_ / "pip", "install", "-q", "-c", constraints, f"{wheel}[workbench]")
    study = tmp_path / "study.toml"
    study.write_text(
        'schemes = ["float32", "int8"]\n'
        '[data]\nsource = "phantom"\nproportions = [30, 10, 10]\n'
        "[data.phantom]\nimages = 50\nheight_px = 64\nwidth_px = 64\n"
        '[[models]]\nname = "resnet34"\nwidth = 0.125\nimage_px = 32\nepochs = 1\n'
        "[calibration]\nimages = 5\n[evaluate]\nrounds = 1\nwarmup = 0\nsamples = 2\n")
    out = tmp_path / "run"
    _run(bin_ / "bedside", "run", "-c", study, "--out", out, cwd=tmp_path)
    rows = json.loads((out / "report" / "results.json").read_text())["rows"]
    assert [r["status"] for r in rows] == ["ok", "ok"]
    assert (out / "report" / "index.html").stat().st_size > 10_000
