"""Placement in a child process: damaged files become reasons, never the end of this process."""

from __future__ import annotations

import pytest

from bedside import targets
from bedside.runfolder import layout
from bedside.targets import subprocess_build


@pytest.fixture(scope="module")
def files(tiny_quantized):
    return {s: layout.variant_dir(tiny_quantized, f"resnet34-{s}") / "model.tflite"
            for s in ("float32", "int8", "dynamic")}


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


def test_a_name_that_is_no_text_is_damage_and_not_an_exception_of_the_child(files, tmp_path):
    bad = tmp_path / "name.tflite"
    whole = files["int8"].read_bytes()
    at = whole.index(b"serving_default_image")
    bad.write_bytes(whole[:at] + b"\xff" + whole[at + 1:])
    for name in ("cpu", "ethos-u55-128", "sd865-npu"):
        outcome = subprocess_build.place(bad, targets.load(name))
        assert outcome.status == "failed"
        assert outcome.reason.startswith("damaged"), outcome.reason
