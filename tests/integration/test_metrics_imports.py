"""Naming metrics in a fresh process does not load SciPy."""

from __future__ import annotations

import subprocess
import sys


def test_naming_the_metrics_loads_no_scipy() -> None:
    code = ("import sys; from bedside.metrics import METRICS, for_task; for_task(2, 1); "
            "sys.exit('scipy' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
