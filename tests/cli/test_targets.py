"""``bedside lint`` and ``bedside doctor``: what runs where, and one clear message for faults."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from bedside import targets
from bedside.cli.app import _guarded
from bedside.runfolder import layout


@pytest.fixture(scope="module")
def files(tiny_quantized):
    return {s: layout.variant_dir(tiny_quantized, f"resnet34-{s}") / "model.tflite"
            for s in ("float32", "int8", "dynamic")}


def _json(capsys, *argv):
    code = _guarded(list(argv))
    return code, json.loads(capsys.readouterr().out)


def test_lint_names_the_operation_the_layer_the_reason_and_the_remedy(files, capsys):
    code, found = _json(capsys, "lint", str(files["dynamic"]), "--json", *(
        a for t in ("cpu", "sm8650-hexagon", "ethos-u85-256") for a in ("--target", t)))
    assert code == 0
    rows = {t["target"]: t for t in found["targets"]}
    assert [rows[t]["status"] for t in ("cpu", "sm8650-hexagon", "ethos-u85-256")] == [
        "ok", "unsupported", "unsupported"]
    for row in rows.values():
        stem = row["operations"][1]
        assert (stem["index"], stem["op"], stem["name"]) == (1, "DEPTHWISE_CONV_2D", "conv1")
        assert stem["runs_on"] != row["accelerator"]
        assert stem["reason"]
        assert stem["remedy"]
        assert len(row["operations"]) == len(rows["cpu"]["operations"])
    assert rows["sm8650-hexagon"]["remedy"]


def test_our_network_is_taken_whole_by_every_target(files, capsys):
    code, found = _json(capsys, "lint", str(files["int8"]), "--json", *(
        a for t in ("sm8350-hexagon", "ethos-u65-512") for a in ("--target", t)))
    assert code == 0
    for row in found["targets"]:
        assert (row["status"], row["partitions"], row["delegated_fraction"]) == ("ok", 1, 1.0)


def test_lint_prints_a_headline_a_target_and_only_what_is_off(files, capsys):
    assert _guarded(["lint", str(files["int8"]), "--target", "ethos-u55-128", "--target",
                     "gpu"]) == 0
    text = capsys.readouterr().out
    assert "ethos-u55-128: 61 of 64 operations on ethos-u, 1 partition" in text
    assert "gpu: 64 of 64 operations on gpu, 1 partition" in text
    assert "QUANTIZE" in text
    assert "CONV_2D" not in text
    assert _guarded(["lint", str(files["int8"]), "--target", "cpu", "--all"]) == 0
    assert "CONV_2D" in capsys.readouterr().out


def test_lint_of_something_that_is_no_model_is_bad_input(files, tmp_path, capsys):
    bad = tmp_path / "cut.tflite"
    bad.write_bytes(files["int8"].read_bytes()[:5000])
    assert _guarded(["lint", str(bad), "--target", "cpu", "--target", "gpu"]) == 2
    said = capsys.readouterr().err
    assert str(bad) in said
    assert len(said.strip().splitlines()) == 1
    assert _guarded(["lint", str(tmp_path / "none.tflite"), "--target", "cpu"]) == 2
    assert _guarded(["lint", str(files["int8"]), "--target", "sm8651-hexagon"]) == 2
    assert "Did you mean 'sm8650-hexagon'" in capsys.readouterr().err


def test_what_is_missing_is_exit_3_after_the_others(files, capsys, monkeypatch):
    gone = targets.Availability(False, "Vela is not installed", "Install it.")
    monkeypatch.setattr("bedside.targets.ethos_u.available", lambda: gone)
    code = _guarded(["lint", str(files["int8"]), "--target", "ethos-u55-128", "--target", "cpu"])
    both = capsys.readouterr()
    assert code == 3
    assert re.search(r"cpu: 6\d of 64 operations on xnnpack, [12] partition", both.out)
    assert "Install it." in both.err
    code, found = _json(capsys, "doctor", "--json")
    assert code == 0
    rows = {r["backend"]: r for r in found["backends"]}
    assert set(rows) == set(targets.BACKENDS)
    assert not rows["ethos-u"]["works"]
    assert rows["ethos-u"]["remedy"] == "Install it."
    assert "ethos-u55-128" in rows["ethos-u"]["targets"]
    assert _guarded(["doctor", "--target", "ethos-u55-128"]) == 3
    assert _guarded(["doctor", "--target", "ethos-u"]) == 3
    assert _guarded(["doctor", "--target", "cpu"]) == 0
    assert _guarded(["doctor", "--target", "cpv"]) == 2
    assert "Did you mean 'cpu" in capsys.readouterr().err


def test_the_targets_of_this_issue_work_on_a_machine_that_runs_the_tests():
    for name in ("cpu", "gpu", "hexagon", "ethos-u"):
        state = targets.backend(targets.Target("x", name)).available()
        assert state.works, (name, state)
        assert state.version


def test_doctor_does_not_load_what_it_looks_for():
    """A broken engine must not break the table that would tell."""
    code = ("import sys; from bedside.cli.app import _guarded; _guarded(['doctor', '--json']);"
            "bad = {'torch', 'onnxruntime', 'ethosu.vela', 'openvino', 'nncf'} & set(sys.modules);"
            "print(bad, file=sys.stderr); sys.exit(bool(bad))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr[-300:]


def test_a_file_that_was_cut_in_its_weights_is_bad_input_for_every_target(files, tmp_path, capsys):
    """The tables are whole then: a target that reads no weights would take it."""
    bad = tmp_path / "half.tflite"
    whole = files["int8"].read_bytes()
    bad.write_bytes(whole[:len(whole) // 2])
    for command in (["lint"], ["bench", "--rounds", "1"]):
        for target in ("sd865-npu", "cpu", "openvino"):
            assert _guarded([*command, str(bad), "--target", target]) == 2
            said = capsys.readouterr().err
            assert "truncated" in said
            assert "Give a" in said


def test_operations_that_share_a_reason_are_one_row_and_all_with_the_flag(files, capsys):
    arguments = ["lint", str(files["float32"]), "--target", "ethos-u85-256"]
    assert _guarded(arguments) == 0
    short = capsys.readouterr().out
    assert "0…60" in short
    assert _guarded([*arguments, "--all"]) == 0
    assert len(capsys.readouterr().out.splitlines()) > len(short.splitlines()) + 40
