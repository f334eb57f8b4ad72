"""A board through ssh: the same numbers as here, strict keys, every fault a row."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from board_fixture import board, free_port

from bedside import targets
from bedside.cli.app import main
from bedside.core import codec
from bedside.core.build import Agreement, Build, Target
from bedside.core.errors import BadInput
from bedside.core.study import EvaluateConfig
from bedside.flows.bench import bench
from bedside.runfolder import layout, stored
from bedside.runtime.bundle.reader import open_bundle
from bedside.runtime.device import Device
from bedside.stages.build import build
from bedside.stages.bundle import build as deploy
from bedside.stages.evaluate.stage import evaluate
from bedside.targets import ssh
from bedside.targets.board_link import Lost, settings
from bedside.targets.subprocess_build import place

QUICK = EvaluateConfig(rounds=2, warmup=1, samples=3)
VARIANTS = ("resnet34-float32", "resnet34-int8")


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    with board(tmp_path_factory.mktemp("board")) as made:
        yield made


@pytest.fixture(scope="module")
def run(tiny_quantized, tmp_path_factory, here):
    copy = tmp_path_factory.mktemp("ssh") / "run"
    shutil.copytree(tiny_quantized, copy)
    for name in ("builds", "measurements"):
        shutil.rmtree(copy / name, ignore_errors=True)
    here.profile(copy, python=sys.executable)
    for target in ("cpu", "board"):
        for variant in VARIANTS:
            build(copy, variant, target)
    evaluate(copy, [(v, t) for v in VARIANTS for t in ("cpu", "board")], QUICK)
    return copy


def _fresh(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    for name in ("builds", "measurements", "targets"):
        shutil.rmtree(copy / name)
    return copy


def _row(run, variant=VARIANTS[0]):
    (row,) = (m for m in stored.measurements(run) if (m.variant, m.target) == (variant, "board"))
    return row


def test_the_board_s_logits_placements_and_samples_come_back(run):
    rows = {(m.variant, m.target): m for m in stored.measurements(run)}
    for variant in VARIANTS:
        board_, cpu = rows[variant, "board"], rows[variant, "cpu"]
        assert board_.status == "ok", board_.reason
        np.testing.assert_array_equal(stored.predictions(run, variant, "board").logits,
                                      stored.predictions(run, variant, "cpu").logits)
        assert board_.metrics == cpu.metrics
        assert board_.evidence == {"accuracy": "measured", "latency": "measured"}
        assert board_.delegated_fraction == cpu.delegated_fraction
        assert board_.machine == cpu.machine
        assert board_.agreement.changed == 0
        assert 20e6 < board_.peak_memory_bytes < 500e6
        with (layout.measurement_dir(run, variant, "board") / layout.LATENCY).open() as handle:
            times = [float(r["ms"]) for r in csv.DictReader(handle)]
        assert len(times) == QUICK.rounds * QUICK.samples
        assert board_.latency_ms.median == pytest.approx(float(np.median(times)), abs=1e-5)
    made = {b.target: b for b in stored.builds(run) if b.variant == VARIANTS[1]}
    assert made["board"].placement == made["cpu"].placement


def test_nothing_of_the_patients_stays_on_the_board(run, here):
    folder = here.folder / "on-board"
    assert list((folder / "jobs").iterdir()) == []
    images = b"".join(p.read_bytes() for p in (run / "cache").rglob("pixels.bin"))
    assert images
    kept = [p for p in folder.rglob("*") if p.is_file()]
    assert len(kept) > 3  # the runtime, two models
    assert not any(images[:1024] in p.read_bytes() for p in kept)
    models = {hashlib.sha256((layout.variant_dir(run, v) / "model.tflite").read_bytes())
              .hexdigest() for v in VARIANTS}
    assert models <= {p.name for p in (folder / "objects").iterdir()}


def test_a_board_that_was_off_is_a_row_and_is_asked_again(run, here, tmp_path):
    copy = _fresh(run, tmp_path)
    here.profile(copy, python=sys.executable, port=str(free_port()))
    cell = [(VARIANTS[0], "board")]
    assert build(copy, *cell[0])
    evaluate(copy, cell, QUICK)
    row = _row(copy)
    assert (row.status, row.reason) == ("failed", "the board refused the connection")
    assert (row.metrics, row.latency_ms, row.predictions) == ({}, None, None)
    assert evaluate(copy, cell, QUICK) == [f"{VARIANTS[0]}@board"]
    # The same address answers now: here, the profile is corrected.
    here.profile(copy, python=sys.executable)
    assert build(copy, *cell[0])
    assert evaluate(copy, cell, QUICK)
    assert _row(copy).status == "ok"
    assert not build(copy, *cell[0])
    assert evaluate(copy, cell, QUICK) == []


def test_a_build_that_failed_for_the_board_is_made_again_for_the_same_profile(
        run, here, tmp_path):
    copy = _fresh(run, tmp_path)
    here.profile(copy, python=sys.executable)
    hosts = here.known_hosts.read_text()
    try:
        here.known_hosts.write_text("")
        assert build(copy, VARIANTS[0], "board")
        assert build(copy, VARIANTS[0], "board")
    finally:
        here.known_hosts.write_text(hosts)
    assert build(copy, VARIANTS[0], "board")
    made = codec.read_json(Build, layout.build_dir(copy, VARIANTS[0], "board") / layout.BUILD)
    assert made.status == "ok"
    assert not build(copy, VARIANTS[0], "board")


def _cases(here):
    other = here.folder / "another_key"
    if not other.exists():
        shutil.copyfile(here.folder / "host_key", other)
        other.chmod(0o600)
    unknown, changed = here.folder / "nobody", here.folder / "changed"
    unknown.write_text("")
    name, kind, _ = here.known_hosts.read_text().split()
    changed.write_text(f"{name} {kind} {(here.folder / 'key.pub').read_text().split()[1]}\n")
    bare = here.folder / "bare-python"
    bare.write_text(f'#!/bin/sh\nexec {sys._base_executable} -S "$@"\n')
    bare.chmod(0o755)
    return {
        "unknown host": ({"known_hosts": str(unknown)}, "host key is not known"),
        "changed host": ({"known_hosts": str(changed)}, "host key is not the one"),
        "wrong key": ({"key": str(other)}, "does not accept the key"),
        "no name": ({"host": "board.invalid"}, "host name is not known"),
        "no python": ({"python": "/nowhere/python3"}, "no such Python"),
        "bare python": ({"python": str(bare)}, "ai-edge-litert=="),
    }


@pytest.mark.parametrize("case", ["unknown host", "changed host", "wrong key", "no name",
                                  "no python", "bare python"])
def test_a_fault_is_said_plainly_and_names_no_machine(run, here, case):
    changes, said = _cases(here)[case]
    options = here.options(**{"python": sys.executable, **changes})
    outcome = place(layout.variant_dir(run, VARIANTS[0]) / "model.tflite",
                    Target("board", "ssh", options=options))
    assert outcome.status == "failed"
    assert said in outcome.reason
    assert "127.0.0.1" not in outcome.reason
    assert str(here.folder) not in outcome.reason


def test_a_connection_that_is_lost_is_a_row_and_leaves_nothing(run, here, tmp_path):
    """The connection's own sshd is killed while the board waits for a slow Python."""
    import psutil

    slow = tmp_path / "slow-python"
    # The worker (but not the agent, which is given -c) waits.
    slow.write_text(f'#!/bin/sh\n[ "$1" = -c ] || sleep 30\nexec {sys.executable} "$@"\n')
    slow.chmod(0o755)
    copy = _fresh(run, tmp_path)
    here.profile(copy, python=sys.executable)
    build(copy, VARIANTS[0], "board")
    here.profile(copy, python=str(slow))
    target = targets.load("board", copy)

    def cut():
        jobs = here.folder / "on-board" / "jobs"
        end = time.monotonic() + 60
        while not list(jobs.iterdir()) and time.monotonic() < end:
            time.sleep(0.05)
        for process in psutil.Process(here.process.pid).children(recursive=True):
            # Some end by themselves meanwhile.
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.name() == "sshd":
                    process.kill()

    from bedside.runtime.worker import Job

    file = layout.variant_dir(copy, VARIANTS[0]) / "model.tflite"
    spec = stored.model_spec(copy, "resnet34").preprocess
    with stored.pixel_store(copy, spec) as store:
        ids = store.ids[:2]
    job = Job("predict", ssh.RUNNER, str(file),
              hashlib.sha256(file.read_bytes()).hexdigest(), 2,
              str(layout.cache_dir(copy, spec)), ids, str(tmp_path / "result.json"))
    cutter = threading.Thread(target=cut)
    cutter.start()
    result = ssh.run_job(target, job, tmp_path, None, 60)
    cutter.join()
    assert result.fault.startswith("the connection to the board was lost")
    assert not (tmp_path / "result.json.npy").exists()
    end = time.monotonic() + 20
    while list((here.folder / "on-board" / "jobs").iterdir()) and time.monotonic() < end:
        time.sleep(0.1)
    assert list((here.folder / "on-board" / "jobs").iterdir()) == []


def test_a_job_that_does_not_end_is_stopped_on_the_board(run, here, tmp_path):
    slow = tmp_path / "slow-python"
    slow.write_text(f'#!/bin/sh\n[ "$1" = -c ] || sleep 60\nexec {sys.executable} "$@"\n')
    slow.chmod(0o755)
    copy = _fresh(run, tmp_path)
    here.profile(copy, python=sys.executable)
    build(copy, VARIANTS[0], "board")
    cell = [(VARIANTS[0], "board")]
    # The build stays: how its Python is called is the profile's, so the cell is measured anew.
    here.profile(copy, python=str(slow))
    start = time.monotonic()
    evaluate(copy, cell, EvaluateConfig(rounds=1, warmup=0, samples=1, timeout_s=1.0))
    assert time.monotonic() - start < 45
    row = _row(copy)
    assert row.status == "failed"
    assert "stopped on the board after 1 s" in row.reason


def test_wheels_are_copied_where_the_board_lacks_the_packages(run, here, tmp_path):
    """The board's bare Python gets its packages from wheels here, unpacked, nothing installed."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    site = str(Path(np.__file__).parents[1])
    with zipfile.ZipFile(folder / "all-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("reach.pth", "")
        # A wheel that leads to the packages installed here stands for those of another machine.
        wheel.writestr("sitecustomize.py", f"import sys\nsys.path.append({site!r})\n")
    bare = here.folder / "empty-python"
    bare.write_text(f'#!/bin/sh\nexec {sys._base_executable} "$@"\n')
    bare.chmod(0o755)
    outcome = place(layout.variant_dir(run, VARIANTS[1]) / "model.tflite", Target(
        "board", "ssh", options=here.options(python=str(bare), wheels=str(folder))))
    assert outcome.status == "ok", outcome.reason
    assert outcome.placed.accelerator == "xnnpack"


def test_another_processor_than_the_shell_s_is_emulated(run, here, tmp_path):
    """A Python that says aarch64 on an x86 machine can only be emulated, and is labelled so."""
    copy = _fresh(run, tmp_path)
    here.profile(copy, python=sys.executable, emulated="yes")
    build(copy, VARIANTS[0], "board")
    evaluate(copy, [(VARIANTS[0], "board")], QUICK)
    row = _row(copy)
    assert row.evidence == {"accuracy": "emulated", "latency": "emulated"}
    assert row.latency_ms.n == 1
    assert "says nothing about a board" in row.latency_note


@pytest.mark.parametrize(("rmse", "sound"), [(0.0, True), (0.02, True), (0.9, False)])
def test_a_board_that_computes_something_else_is_a_reason(rmse, sound):
    said = ssh.accept(Agreement(n=12, changed=0, rmse=rmse, logit_range=0.8))
    assert (said is None) == sound
    assert sound or "differ from this machine's by 112% of their range" in said
    assert ssh.accept(Agreement(n=12, changed=0, rmse=0.0, logit_range=0.0)) is None


@pytest.mark.parametrize(("changes", "said"), [
    ({"host": "-oProxyCommand=evil"}, "'host' is missing or is not a valid host"),
    ({"user": ""}, "'user' is missing"), ({"port": "0"}, "must be in 1 to 65535"),
    ({"key": "id_ed25519"}, "must be an absolute path"),
    ({"key": "/nowhere/key"}, "does not exist"),
    ({"prot": "22"}, "unknown option 'prot'"), ({"emulated": "maybe"}, "yes or no")])
def test_a_bad_profile_is_refused(here, changes, said):
    with pytest.raises(BadInput, match=said):
        settings(Target("board", "ssh", options=here.options(**changes)))


@pytest.mark.parametrize(("answers", "said"), [
    ([b"\xff" * 40], "the connection to the board was lost"),
    ([{"python": "3.9.2"}], "the board's Python is 3.9.2; 3.11 or newer"),
    ([{"python": "3.12.1", "machine": "x86_64"}, {"missing": ["../secret"]}], "is unreadable"),
    ([{"python": "3.12.1"}, {"missing": []}, {"results": {"outcome.json": "many"}}],
     "is unreadable"),
    ([{"python": "3.12.1"}, {"missing": []}, {"results": {"outcome.json": 2}}],
     "the board's answer"),
])
def test_a_board_that_answers_nonsense_is_a_reason(run, here, tmp_path, monkeypatch, answers,
                                                    said):
    from bedside.targets.board_agent import HEAD

    stream = b""
    for answer in answers:
        text = answer if isinstance(answer, bytes) else HEAD.pack(
            len(json.dumps(answer)), 2) + json.dumps(answer).encode() + b"{]"
        stream += text
    (tmp_path / "frames").write_bytes(b"bedside-board x86_64\n" + stream)
    fake = tmp_path / "ssh"
    # It reads to the end: a pipe that breaks at the other side is another reason.
    fake.write_text(f"#!/bin/sh\ncat {tmp_path}/frames\nexec cat >/dev/null\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    outcome = place(layout.variant_dir(run, VARIANTS[0]) / "model.tflite",
                    Target("board", "ssh", options=here.options()))
    assert outcome.status == "failed"
    assert said in outcome.reason


def test_bench_runs_a_file_on_the_board(run, capsys):
    rows = bench(layout.model_dir(run, "resnet34") / layout.FLOAT_MODEL, ["board", "cpu"],
                 EvaluateConfig(splits=("val",), rounds=1, warmup=0, samples=2), profiles=run)
    assert [(r.target, r.status) for r in rows] == [("board", "ok"), ("cpu", "ok")]
    with pytest.raises(SystemExit) as ended:
        main(["lint", str(layout.model_dir(run, "resnet34") / layout.FLOAT_MODEL),
              "--target", "board", "--run", str(run)])
    assert ended.value.code == 0
    assert "operations on xnnpack" in capsys.readouterr().out


def test_a_bundle_for_a_board_opens_as_the_board_s_own_cpu(run):
    data, made = deploy.make(run, "board", VARIANTS[1], below_floor=True)
    assert (made.manifest.model.target, made.manifest.model.backend) == ("board", "cpu")
    with Device(open_bundle(data, (), allow_unsigned=True)) as device:
        assert device.test.vectors


def _doctor(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(["doctor", *map(str, arguments)])
    said = capsys.readouterr()
    return ended.value.code, said.out, said.err


def test_doctor_asks_the_boards_of_a_run(run, here, tmp_path, capsys):
    copy = _fresh(run, tmp_path)
    here.profile(copy, python=sys.executable)
    here.profile(copy, "away", port=str(free_port()))
    here.profile(copy, "bare", python=_cases(here)["bare python"][0]["python"])
    code, out, err = _doctor(capsys, "--run", copy, "--json")
    assert code == 0, err
    rows = {b["target"]: b for b in json.loads(out)["boards"]}
    assert set(rows) == {"board", "away", "bare"}
    assert rows["board"]["works"]
    assert rows["board"]["detail"].startswith("the board answers: Python 3.")
    assert "LiteRT 2." in rows["board"]["detail"]
    assert "refused the connection" in rows["away"]["detail"]
    assert "ai-edge-litert==" in rows["bare"]["detail"]
    assert _doctor(capsys, "--run", copy, "--target", "board")[0] == 0
    code, out, err = _doctor(capsys, "--run", copy, "--target", "away", "--target", "cpu")
    assert code == 3
    assert "'away' does not work here: the board refused the connection" in err
    assert "cpu" in out
    code, _, err = _doctor(capsys, "--target", "board")
    assert code == 2
    assert "--run RUN" in err
    here.profile(copy, "away", key="/nowhere/key")
    assert _doctor(capsys, "--run", copy, "--json")[0] == 0
    assert _doctor(capsys, "--run", copy, "--target", "away")[0] == 2
    assert _doctor(capsys, "--run", tmp_path / "nowhere")[0] == 2


def test_the_copied_runtime_is_a_closed_set_and_the_same_bytes(tmp_path):
    """Every module of the archive imports from the archive alone."""
    archive = ssh.runtime_archive()
    assert archive == ssh.runtime_archive()
    path = tmp_path / "runtime.zip"
    path.write_bytes(archive)
    names = [n.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
             for n in zipfile.ZipFile(path).namelist()]
    code = (f"import sys, importlib; sys.path.insert(0, {str(path)!r})\n"
            f"for name in {names!r}: importlib.import_module(name)\n"
            "own = [m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'bedside']\n"
            f"assert all(f.startswith({str(path)!r}) for f in own), own")
    subprocess.run([sys.executable, "-P", "-c", code], check=True)


def _saved(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize(("data", "said"), [
    (_saved(np.zeros((2, 2), np.float32)), "3 rows of float32 are needed"),
    (_saved(np.zeros((4, 2), np.float32)), "3 rows of float32 are needed"),
    (_saved(np.zeros(3, np.float32)), "3 rows of float32 are needed"),
    (_saved(np.zeros((3, 2), np.float64)), "of float64"),
    (_saved(np.zeros((3, 2), np.float32))[:-1], "are unreadable"),
    (b"", "are unreadable"),
])
def test_logits_that_are_not_one_row_an_image_are_not_kept(tmp_path, data, said):
    """Fewer rows would be given to the wrong images, and nobody would see it."""
    path = tmp_path / "logits.npy"
    with pytest.raises(Lost, match=said):
        ssh._keep(data, 3, path)
    assert not path.exists()
    ssh._keep(_saved(np.ones((3, 2), np.float32)), 3, path)
    assert np.load(path).shape == (3, 2)
