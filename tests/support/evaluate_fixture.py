"""A tiny run with two variants built and measured on the CPU."""

from __future__ import annotations

import shutil

import pytest

from bedside import schemes
from bedside.core.study import EvaluateConfig
from bedside.stages import quantize
from bedside.stages.build import build
from bedside.stages.evaluate import stage

CONFIG = EvaluateConfig(rounds=2, warmup=1, samples=3)
VARIANTS = ("resnet34-float32", "resnet34-dynamic")


@pytest.fixture(scope="module")
def run(tiny_run, tmp_path_factory):
    copy = tmp_path_factory.mktemp("evaluate") / "run"
    shutil.copytree(tiny_run, copy)
    # Other tests of this session build and measure in the shared run; this copy starts bare.
    for name in ("variants", "builds", "measurements"):
        shutil.rmtree(copy / name, ignore_errors=True)
    for scheme in ("float32", "dynamic"):
        quantize.quantize(copy, "resnet34", schemes.parse(scheme), None, None)
    for variant in VARIANTS:
        assert build(copy, variant, "cpu")
        assert not build(copy, variant, "cpu")
    return copy


@pytest.fixture(scope="module")
def measured(run):
    said = []
    done = stage.evaluate(run, [(v, "cpu") for v in VARIANTS], CONFIG,
                          lambda *a: said.append(a))
    return done, said
