"""A command starts without what it does not need."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEAVY = ("numpy", "scipy", "PIL", "ai_edge_litert", "torch", "matplotlib", "pydicom", "fastapi")


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_version_and_help_load_no_heavy_package(argument):
    program = ("import sys; from bedside.cli.app import main\n"
               f"try: main([{argument!r}])\nexcept SystemExit: pass\n"
               f"print(sorted(set({HEAVY!r}) & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_module_is_the_command():
    done = subprocess.run([sys.executable, "-m", "bedside", "--version"], capture_output=True,
                          text=True, check=True)
    assert done.stdout.startswith("bedside ")


@pytest.mark.parametrize("form", [[], ["--json"]])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_goes_is_no_failed_gate(form, unbuffered):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-m", "bedside", "list", "targets", *form],
                          stdout=write, stderr=subprocess.PIPE, text=True, check=False,
                          env={**os.environ, "PYTHONUNBUFFERED": unbuffered})
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


def test_ctrl_c_counts_while_the_command_is_still_loading():
    program = ("import builtins, sys\n"
               "real = builtins.__import__\n"
               "def stops(name, *rest):\n"
               "    if name == 'typer':\n"
               "        raise KeyboardInterrupt\n"
               "    return real(name, *rest)\n"
               "builtins.__import__ = stops\n"
               "from bedside.__main__ import main\n"
               "main()\n")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 130
    assert done.stderr.count("\n") == 1
    assert "run the same command again" in done.stderr
