"""Any model file on any target, without a study."""

from __future__ import annotations

import json
import struct

import pytest

from bedside.cli.app import main
from bedside.core.errors import BadInput
from bedside.core.study import EvaluateConfig
from bedside.flows.bench import bench
from bedside.runfolder import layout

QUICK = EvaluateConfig(splits=("val",), rounds=2, warmup=0, samples=3)


@pytest.fixture(scope="module")
def file(tiny_run):
    return layout.model_dir(tiny_run, "resnet34") / layout.FLOAT_MODEL


def test_rows_come_in_the_order_asked_for_and_speak_of_no_accuracy(file):
    rows = bench(file, ["sd865-npu", "cpu", "sd865-cpu"], QUICK)
    assert [r.target for r in rows] == ["sd865-npu", "cpu", "sd865-cpu"]
    npu, cpu, guess = rows
    assert (npu.status, npu.latency_ms) == ("unsupported", None)
    assert cpu.latency_ms.n == 6
    assert cpu.evidence == {"latency": "measured"}
    assert guess.evidence == {"latency": "estimated"}
    assert all(r.metrics == {} and r.predictions is None for r in rows)


def test_the_command_prints_one_document(file, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["bench", str(file), "--target", "sd8gen3-npu", "--rounds", "1", "--json"])
    assert ended.value.code == 0
    document = json.loads(capsys.readouterr().out)
    assert document["file"] == file.name
    assert document["rows"][0]["evidence"] == {"latency": "estimated"}


@pytest.mark.parametrize("bad", ["missing", "text", "truncated", "target"])
def test_bad_input_is_said_before_anything_is_built(file, tmp_path, bad):
    path, names = tmp_path / "m.tflite", ["cpu"]
    if bad == "text":
        path.write_text("not a model")
    elif bad == "truncated":
        path.write_bytes(file.read_bytes()[:64] + struct.pack("<I", 2**31))
    elif bad == "target":
        path, names = file, ["cpuu"]
    with pytest.raises(BadInput):
        bench(path, names, QUICK)
