"""Description of this machine, for the record of a measurement."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def machine() -> dict[str, str]:
    """Return the description of this machine, without its name."""
    from importlib.metadata import version

    facts = {"system": platform.system(), "architecture": platform.machine(),
             "cores": str(os.cpu_count()), "python": platform.python_version(),
             "litert": version("ai-edge-litert")}
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                facts["processor"] = line.partition(":")[2].strip()
                break
    return facts


def cpu_flags() -> frozenset[str]:
    """Return the processor's instruction sets as Linux lists them; empty elsewhere."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        return frozenset()
    for line in cpuinfo.read_text().splitlines():
        if line.startswith(("flags", "Features")):
            return frozenset(line.partition(":")[2].split())
    return frozenset()
