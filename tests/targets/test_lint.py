"""``bedside lint`` and ``bedside doctor``: what stands where, and one clear message for faults."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import pytest

from bedside import targets
from bedside.cli.app import guarded
from bedside.runfolder import layout
from bedside.targets import subprocess_build


@pytest.fixture(scope="module")
def files(tiny_quantized):
    return {s: layout.variant_dir(tiny_quantized, f"resnet34-{s}") / "model.tflite"
            for s in ("float32", "int8", "dynamic")}


def _json(capsys, *argv):
    code = guarded(list(argv))
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
    assert guarded(["lint", str(files["int8"]), "--target", "ethos-u55-128", "--target",
                     "gpu"]) == 0
    text = capsys.readouterr().out
    assert "ethos-u55-128: 61 of 64 operations on ethos-u, 1 partition" in text
    assert "gpu: 64 of 64 operations on gpu, 1 partition" in text
    assert "QUANTIZE" in text
    assert "CONV_2D" not in text
    assert guarded(["lint", str(files["int8"]), "--target", "cpu", "--all"]) == 0
    assert "CONV_2D" in capsys.readouterr().out


def test_lint_of_something_that_is_no_model_is_bad_input(files, tmp_path, capsys):
    bad = tmp_path / "cut.tflite"
    bad.write_bytes(files["int8"].read_bytes()[:5000])
    assert guarded(["lint", str(bad), "--target", "cpu", "--target", "gpu"]) == 2
    said = capsys.readouterr().err
    assert str(bad) in said
    assert len(said.strip().splitlines()) == 1
    assert guarded(["lint", str(tmp_path / "none.tflite"), "--target", "cpu"]) == 2
    assert guarded(["lint", str(files["int8"]), "--target", "sm8651-hexagon"]) == 2
    assert "Did you mean 'sm8650-hexagon'" in capsys.readouterr().err


def test_what_is_missing_is_exit_3_after_the_others(files, capsys, monkeypatch):
    gone = targets.Availability(False, "Vela is not installed", "Install it.")
    monkeypatch.setattr("bedside.targets.ethos_u.available", lambda: gone)
    code = guarded(["lint", str(files["int8"]), "--target", "ethos-u55-128", "--target", "cpu"])
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
    assert guarded(["doctor", "--target", "ethos-u55-128"]) == 3
    assert guarded(["doctor", "--target", "ethos-u"]) == 3
    assert guarded(["doctor", "--target", "cpu"]) == 0
    assert guarded(["doctor", "--target", "cpv"]) == 2
    assert "Did you mean 'cpu" in capsys.readouterr().err


def test_the_targets_of_this_issue_work_on_a_machine_that_runs_the_tests():
    for name in ("cpu", "gpu", "hexagon", "ethos-u"):
        state = targets.backend(targets.Target("x", name)).available()
        assert state.works, (name, state)
        assert state.version


def test_doctor_does_not_load_what_it_looks_for():
    """A broken engine must not break the table that would tell."""
    code = ("import sys; from bedside.cli.app import guarded; guarded(['doctor', '--json']);"
            "bad = {'torch', 'onnxruntime', 'ethosu.vela', 'openvino', 'nncf'} & set(sys.modules);"
            "print(bad, file=sys.stderr); sys.exit(bool(bad))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr[-300:]


def mutants(data, count, seed=0):
    """Damaged copies: bits flipped anywhere or in the head, cut short, bytes doubled or zeroed."""
    import numpy as np

    rng = np.random.default_rng(seed)
    for i in range(count):
        copy = bytearray(data)
        kind = i % 5
        if kind == 0:
            for at in rng.integers(0, len(copy), 20):
                copy[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:  # the tables lie at the end of what the quantizer writes, and the head
            for at in rng.integers(len(copy) * 9 // 10, len(copy), 8):
                copy[at] = int(rng.integers(256))
        elif kind == 2:
            del copy[int(rng.integers(8, len(copy))):]
        elif kind == 3:
            at = int(rng.integers(8, len(copy) - 64))
            copy[at:at + 64] = bytes(64)
        else:
            at = int(rng.integers(8, len(copy) - 8))
            copy[at:at + 4] = b"\xff\xff\xff\x7f"
        yield bytes(copy)


def test_damaged_files_never_end_this_process(files, tmp_path):
    """50 here, 2,000 in ``make prove`` (benchmarks/tflite_mutants.py)."""
    data = files["int8"].read_bytes()
    names = ("cpu", "sm8650-hexagon", "ethos-u55-128")
    seen = set()
    for i, mutant in enumerate(mutants(data, 50)):
        file = tmp_path / "mutant.tflite"
        file.write_bytes(mutant)
        outcome = subprocess_build.place(file, targets.load(names[i % 3]), timeout_s=60)
        assert outcome.status in ("ok", "unsupported", "failed")
        assert outcome.placed is not None or outcome.reason
        seen.add(outcome.status)
    assert seen >= {"ok", "failed"}


def test_several_signatures_and_open_shapes_are_said_plainly(files, tmp_path):
    import ai_edge_litert.schema_py_generated as schema
    import flatbuffers

    def write(change):
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(
            files["float32"].read_bytes()))
        change(model)
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        path = tmp_path / "changed.tflite"
        path.write_bytes(bytes(builder.Output()))
        return path

    def two(model):
        model.signatureDefs = model.signatureDefs * 2

    def open_shape(model):
        tensor = model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]]
        tensor.shapeSignature = [-1, *tensor.shape[1:]]

    for change, text in ((two, "2 signatures"), (open_shape, "is not fixed")):
        file = write(change)
        for name in ("sm8650-hexagon", "ethos-u55-128", "gpu"):
            outcome = subprocess_build.place(file, targets.load(name))
            assert outcome.status == "unsupported", (name, outcome)
            assert text in outcome.reason
    shutil.rmtree(tmp_path)


def test_a_file_that_was_cut_in_its_weights_is_bad_input_for_every_target(files, tmp_path, capsys):
    """The tables are whole then: a target that reads no weights would take it."""
    bad = tmp_path / "half.tflite"
    whole = files["int8"].read_bytes()
    bad.write_bytes(whole[:len(whole) // 2])
    for command in (["lint"], ["bench", "--rounds", "1"]):
        for target in ("sd865-npu", "cpu", "openvino"):
            assert guarded([*command, str(bad), "--target", target]) == 2
            said = capsys.readouterr().err
            assert "cut short" in said
            assert "Give a" in said


def test_a_name_that_is_no_text_is_damage_and_not_an_exception_of_the_child(files, tmp_path):
    bad = tmp_path / "name.tflite"
    whole = files["int8"].read_bytes()
    at = whole.index(b"serving_default_image")
    bad.write_bytes(whole[:at] + b"\xff" + whole[at + 1:])
    for name in ("cpu", "ethos-u55-128", "sd865-npu"):
        outcome = subprocess_build.place(bad, targets.load(name))
        assert outcome.status == "failed"
        assert outcome.reason.startswith("damaged"), outcome.reason


def test_operations_that_share_a_reason_are_one_row_and_all_with_the_flag(files, capsys):
    arguments = ["lint", str(files["float32"]), "--target", "ethos-u85-256"]
    assert guarded(arguments) == 0
    short = capsys.readouterr().out
    assert "0…60" in short
    assert guarded([*arguments, "--all"]) == 0
    assert len(capsys.readouterr().out.splitlines()) > len(short.splitlines()) + 40
