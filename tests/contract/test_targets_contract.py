"""Every backend and profile of the tables, without being told."""

from __future__ import annotations

import pytest

from bedside import codec, quantize, rundir, targets
from bedside.build import build
from bedside.errors import BadInput
from bedside.types import Build


@pytest.mark.parametrize("name", sorted(targets.BACKENDS))
def test_a_backend_offers_what_the_stages_call(name):
    module = targets.backend(targets.Target("x", name))
    state = module.available()
    assert isinstance(state, targets.Availability)
    assert state.works or state.remedy
    assert set(module.EVIDENCE) == {"accuracy", "latency"}
    assert ":" in module.RUNNER


@pytest.mark.parametrize("target_id", sorted(targets.profiles()))
def test_a_profile_names_a_backend_and_builds(tiny_run, target_id):
    target = targets.load(target_id)
    assert target.backend in targets.BACKENDS
    assert target.description
    quantize.quantize(tiny_run, "resnet34", "float32", None, None)
    build(tiny_run, "resnet34-float32", target_id)
    folder = rundir.build_dir(tiny_run, "resnet34-float32", target_id)
    made = codec.read_json(Build, folder / rundir.BUILD)
    assert (made.variant, made.target) == ("resnet34-float32", target_id)
    assert all((folder / f).is_file() for f in made.files)
    assert made.placement


def test_profiles_of_the_user_are_found_and_bad_ones_refused(tmp_path):
    folder = tmp_path / "targets"
    folder.mkdir()
    (folder / "board.toml").write_text('id = "board"\nbackend = "cpu"\nthreads = 4\n')
    assert targets.load("board", tmp_path).threads == 4
    (folder / "bad.toml").write_text('id = "bad"\nbackend = "cpu"\nthread = 4\n')
    with pytest.raises(BadInput, match="Did you mean 'threads'"):
        targets.load("board", tmp_path)
