"""The runtime on an Arm processor, emulated: the same logits and the same answers as here.

    python benchmarks/aarch64.py --save aarch64

Needs debootstrap, qemu-user-static and openssh-server (Debian), and the network the first time:
a Debian of the arm64 architecture and aarch64 wheels of the device runtime go to
runs/proof/aarch64. Then, with EfficientNet-Lite0 at 224 pixels,

- FP32 and INT8 are measured there through the target ``ssh``, as on any board: a local sshd
  whose Python is the emulated one, with the wheels copied;
- ``bedside predict BUNDLE`` runs there, verification and self-test included.

The processor is a Cortex-A76, that of a Raspberry Pi 5. QEMU 7.2's ``max`` is no substitute: with
its SVE, LiteRT's INT8 gave the same logits for every image (and the bundle's self-test refused to
answer there). Emulated times say nothing about a board.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from common import ROOT, RUNS, finish
from device_bundle import bundle, images

from bedside import schemes
from bedside.core import codec
from bedside.core.build import Build
from bedside.core.study import EvaluateConfig
from bedside.runfolder import layout, stored
from bedside.stages import quantize
from bedside.stages.build import build
from bedside.stages.evaluate.stage import evaluate

sys.path.insert(0, str(ROOT / "tests" / "support"))
from board_fixture import board

MODEL = "efficientnet_lite0"
CPU = "cortex-a76"
# An FP32 image takes 40 s of processor time there (QEMU computes every float32 step in software),
# an INT8 one 2.5 s.
IMAGES = {"float32": 6, "int8": 20}
RELEASE, PYTHON = "bookworm", "3.11"
WHEELS = ("ai-edge-litert", "numpy", "Pillow", "tomli-w", "typer", "rich", "cryptography")
# LiteRT reads what the processor can from here; without it, it crashes under user-mode emulation.
CPUINFO = "".join(f"""processor\t: {i}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: 0xd0b
CPU revision\t: 1

""" for i in range(2))


def debian(home: Path) -> Path:
    """A Debian of the arm64 architecture with Python: packages unpacked, nothing configured."""
    root = home / "root"
    if not (home / ".root").is_file():
        shutil.rmtree(root, ignore_errors=True)
        subprocess.run(["debootstrap", "--arch=arm64", "--foreign", "--include=python3", RELEASE,
                        root], check=True, stdout=subprocess.DEVNULL)
        for package in sorted((root / "var/cache/apt/archives").glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", package, root], check=True)
        (root / "proc").mkdir(exist_ok=True)
        (root / "proc" / "cpuinfo").write_text(CPUINFO)
        (home / ".root").touch()
    return root


def wheels(home: Path) -> Path:
    """The device runtime's wheels for aarch64, in this checkout's pinned versions."""
    folder = home / "wheels"
    if not (home / ".wheels").is_file():
        platforms = [f"--platform={p}_aarch64" for p in (
            "manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")]
        subprocess.run([sys.executable, "-m", "pip", "download", "-q",
                        "--disable-pip-version-check", "--only-binary=:all:", *platforms,
                        "--python-version", PYTHON, "--implementation", "cp", "-d", folder,
                        "-c", ROOT / "constraints.txt", *WHEELS], check=True)
        (home / ".wheels").touch()
    return folder


def python(home: Path, root: Path) -> Path:
    """A program that is the emulated Python, and that calls itself when Python starts Python."""
    site = home / "site"
    site.mkdir(exist_ok=True)
    path = home / "python3"
    (site / "sitecustomize.py").write_text(f"import sys\nsys.executable = {str(path)!r}\n")
    path.write_text(f"""#!/bin/sh
export PYTHONHOME={root}/usr
export PYTHONPATH="$PYTHONPATH:{site}"
exec qemu-aarch64-static -cpu {CPU} -L {root} {root}/usr/bin/python{PYTHON} "$@"
""")
    path.chmod(0o755)
    return path


def measure(home: Path, emulated: Path, folder: Path) -> dict[str, object]:
    """FP32 and INT8 through the target ``ssh`` against this machine's CPU."""
    bundle()
    kept = home / "logits.json"
    if kept.is_file():
        found: dict[str, object] = json.loads(kept.read_text())
        return found
    run = home / "run"
    for left in (run, home / "sshd"):
        shutil.rmtree(left, ignore_errors=True)
    shutil.copytree(RUNS / "device", run, ignore=shutil.ignore_patterns("builds", "measurements"))
    quantize.quantize(run, MODEL, schemes.parse("float32"), None, None)
    rows: dict[str, object] = {}
    with board(home / "sshd") as there:
        there.profile(run, "arm", python=str(emulated), wheels=str(folder))
        for scheme, count in IMAGES.items():
            variant = f"{MODEL}-{scheme}"
            config = EvaluateConfig(images=count, rounds=1, warmup=0, samples=1)
            for target in ("cpu", "arm"):
                build(run, variant, target)
            evaluate(run, [(variant, t) for t in ("cpu", "arm")], config)
            rows[scheme] = _compared(run, variant)
    kept.write_text(json.dumps(rows))
    return rows


def _compared(run: Path, variant: str) -> dict[str, object]:
    (row,) = (m for m in stored.measurements(run) if (m.variant, m.target) == (variant, "arm"))
    assert row.status == "ok", row.reason
    here, arm = (stored.predictions(run, variant, t).logits for t in ("cpu", "arm"))
    made = codec.read_json(Build, layout.build_dir(run, variant, "arm") / layout.BUILD)
    return {"images": len(arm), "changed": row.agreement.changed if row.agreement else None,
            "largest_difference": float(np.abs(arm - here).max()),
            "logit_range": float(np.ptp(here)), "evidence": row.evidence, "machine": row.machine,
            "delegated_fraction": made.delegated_fraction, "partitions": made.partitions}


def predict(home: Path, emulated: Path, folder: Path, count: int) -> dict[str, object]:
    """``bedside predict BUNDLE`` there and here, on the same images."""
    unpacked = home / "packages"
    if not unpacked.is_dir():
        for wheel in sorted(folder.glob("*.whl")):
            shutil.unpack_archive(wheel, unpacked, "zip")
    answers = {}
    for name, program, paths in (
            ("here", sys.executable, [ROOT / "src"]),
            ("aarch64", emulated, [ROOT / "src", unpacked])):
        done = subprocess.run(
            [program, "-m", "bedside", "predict", bundle(), *images(count), "--json",
             "--store", home / "store"], check=False, capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))})
        if done.returncode:
            sys.exit(f"bedside predict on {name}: {done.stderr.strip()}")
        answers[name] = json.loads(done.stdout)
    here, arm = answers["here"], answers["aarch64"]
    pairs = list(zip(here["answers"], arm["answers"], strict=True))
    return {"images": len(pairs),
            "classes_that_differ": sum(a["predicted"] != b["predicted"] for a, b in pairs),
            "largest_probability_difference": max(abs(a["probability"] - b["probability"])
                                                  for a, b in pairs),
            "answers_that_are_equal_to_the_last_digit": sum(a == b for a, b in pairs),
            "self_test": arm["self_test"]}


def main() -> None:
    """Set up, measure there and here, compare."""
    for program in ("debootstrap", "qemu-aarch64-static", "sshd"):
        if shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin") is None:
            sys.exit(f"{program} is not installed: "
                     "apt-get install debootstrap qemu-user-static openssh-server")
    home = RUNS / "aarch64"
    home.mkdir(parents=True, exist_ok=True)
    root, folder = debian(home), wheels(home)
    emulated = python(home, root)
    answered = predict(home, emulated, folder, IMAGES["int8"])
    rows = measure(home, emulated, folder)
    finish({"what": "EfficientNet-Lite0 at 224 on an emulated aarch64 processor: logits through "
                    "the target ssh, and bedside predict BUNDLE, against this machine",
            "goal": "no class differs", "emulated": CPU, "logits": rows, "predict": answered})
    if answered["classes_that_differ"] or any(r["changed"] for r in rows.values()):  # type: ignore[index]
        sys.exit("the answers differ")


if __name__ == "__main__":
    main()
