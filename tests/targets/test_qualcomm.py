"""Qualcomm's compiler: its log."""

from __future__ import annotations

import shutil

import pytest

from bedside.core.study import EvaluateConfig
from bedside.stages.build import build
from bedside.stages.evaluate.stage import evaluate
from bedside.targets import qualcomm

CHIP = "sm8650-hexagon"
CONFIG = EvaluateConfig(rounds=1, warmup=0, samples=2, images=12)


@pytest.fixture(scope="module")
def run(tiny_quantized, tmp_path_factory):
    copy = tmp_path_factory.mktemp("hexagon") / "run"
    shutil.copytree(tiny_quantized, copy)
    for name in ("builds", "measurements"):
        shutil.rmtree(copy / name, ignore_errors=True)
    for scheme in ("int8", "float16", "dynamic"):
        assert build(copy, f"resnet34-{scheme}", CHIP)
    evaluate(copy, [(f"resnet34-{s}", CHIP) for s in ("int8", "float16", "dynamic")], CONFIG)
    return copy


def test_the_compilers_log_is_read(run):
    text = ("INFO: [Qnn] Initializing QNN backend for SoC model: 57\n"
            "  <E> Unsupported input/output datatypes requested for the HTP Op 'Conv2d' in\n"
            "LiteRT Op #4 'Conv2d' (code=3) is not supported in Qualcomm Compiler.\n"
            "LiteRT Op #6 'Foo' (code=9) is not supported in Qualcomm Compiler.\n"
            "Partitioned subgraph<0>, selected 5 ops, from a total of 7 ops. resulted in 2 "
            "partitions.\n")
    found = qualcomm.read_log(text)
    assert (found.soc, found.operations, found.taken, found.partitions) == ("57", 7, 5, 2)
    assert found.refused == {
        4: "Unsupported input/output datatypes requested for the HTP Op 'Conv2d'",
        6: "Qualcomm's compiler has no Foo like this"}
    assert qualcomm.read_log("nothing") is None
