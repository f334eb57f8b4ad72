"""Every backend and profile of the tables, without being told."""

from __future__ import annotations

import shutil
from typing import get_args

import pytest

from bedside import schemes, targets
from bedside.core import codec, registry
from bedside.core.build import Build
from bedside.core.errors import BadInput
from bedside.core.study import EvaluateConfig
from bedside.core.types import Evidence
from bedside.runfolder import layout, stored
from bedside.stages import quantize
from bedside.stages.build import build
from bedside.stages.evaluate.stage import evaluate
from bedside.targets import subprocess_build


@pytest.mark.parametrize("name", sorted(targets.BACKENDS))
def test_a_backend_offers_what_the_stages_call(name):
    module = targets.backend(targets.Target("x", name))
    state = module.available()
    assert isinstance(state, targets.Availability)
    assert state.works or state.remedy
    assert set(module.EVIDENCE) <= {"accuracy", "latency", "memory"}
    assert all(v in get_args(Evidence) for v in module.EVIDENCE.values())
    assert callable(module.build)
    assert callable(module.place)
    assert ":" in module.RUNNER
    assert callable(registry.resolve(module.RUNNER))


@pytest.mark.parametrize("target_id", sorted(targets.profiles()))
def test_a_profile_names_a_backend_and_says_what_it_is(target_id):
    target = targets.load(target_id)
    assert target.id == target_id
    assert target.backend in targets.BACKENDS
    assert target.description


# One profile a backend: the profiles of a backend differ in settings alone.
FIRST = {t.backend: t.id for t in sorted(targets.profiles().values(),
                                         key=lambda t: t.id, reverse=True)}


def _built(run, scheme, target_id):
    build(run, f"resnet34-{scheme}", target_id)
    folder = layout.build_dir(run, f"resnet34-{scheme}", target_id)
    made = codec.read_json(Build, folder / layout.BUILD)
    assert (made.variant, made.target) == (f"resnet34-{scheme}", target_id)
    assert all((folder / f).is_file() for f in made.files)
    return made


@pytest.mark.parametrize("target_id", sorted(FIRST.values()))
def test_a_backend_that_works_here_builds(tiny_quantized, target_id):
    """float32, or int8 where the processor has no floating point: a backend builds something."""
    if not targets.backend(targets.load(target_id)).available().works:
        return  # its rows are held to below
    made = _built(tiny_quantized, "float32", target_id)
    if made.status == "unsupported":
        assert made.reason
        assert str(tiny_quantized) not in made.reason
        made = _built(tiny_quantized, "int8", target_id)
    assert made.status == "ok", made.reason
    assert made.files
    assert made.main in ("", *made.files)
    assert made.placement
    assert made.latency_ms is not None or "latency" in made.measures or made.latency_note


@pytest.mark.parametrize("name", sorted(targets.BACKENDS))
def test_a_file_that_is_no_model_is_an_outcome_not_an_exception(name, tmp_path):
    target = next((t for t in targets.profiles().values() if t.backend == name), None)
    if target is None or not targets.backend(target).available().works:
        return
    file = tmp_path / "model.tflite"
    file.write_bytes(b"\x1c\0\0\0TFL3" + bytes(range(256)) * 4)
    outcome = subprocess_build.place(file, target)
    assert outcome.status in ("failed", "unsupported")
    assert outcome.reason
    assert str(tmp_path) not in outcome.reason


def test_a_component_that_is_missing_is_a_row_and_tried_again_once_it_is_there(
        tiny_run, tmp_path, monkeypatch):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    quantize.quantize(run, "resnet34", schemes.parse("float32"), None, None)
    gone = targets.Availability(False, "LiteRT is not installed", "Install it.")
    with monkeypatch.context() as patch:
        patch.setattr("bedside.targets.cpu.available", lambda: gone)
        assert build(run, "resnet34-float32", "cpu")
        made = codec.read_json(Build, layout.build_dir(run, "resnet34-float32", "cpu")
                               / layout.BUILD)
        assert (made.status, made.files) == ("unsupported", {})
        assert "LiteRT is not installed" in made.reason
        assert "Install it." in made.reason
        assert evaluate(run, [("resnet34-float32", "cpu")], EvaluateConfig())
    (row,) = (m for m in stored.measurements(run) if m.variant == "resnet34-float32")
    assert (row.status, row.reason) == ("unsupported", made.reason)
    assert (row.metrics, row.latency_ms, row.evidence) == ({}, None, {})
    assert build(run, "resnet34-float32", "cpu")


def test_profiles_of_the_user_are_found_and_bad_ones_refused(tmp_path):
    folder = tmp_path / "targets"
    folder.mkdir()
    (folder / "board.toml").write_text('id = "board"\nbackend = "cpu"\nthreads = 4\n')
    assert targets.load("board", tmp_path).threads == 4
    (folder / "bad.toml").write_text('id = "bad"\nbackend = "cpu"\nthread = 4\n')
    with pytest.raises(BadInput, match="Did you mean 'threads'"):
        targets.load("board", tmp_path)
