"""Figure 11: the server's CPU against NPUs, milliseconds an image."""

from __future__ import annotations

from pathlib import Path

from bedside.figures.base import FigureData, NotAvailable
from bedside.figures.processors import HERE, PAPER_NPU_OVER_SERVER, rows_of


def compute(run: Path, model: str) -> FigureData:
    """Facts: ``rows``: the fastest CPU row of each server and scheme (float32, int8), and every
    NPU's; what was not measured is in no ranking.

    Raises:
        NotAvailable: no latency of a server's CPU, or of an NPU.
    """
    del model
    every = rows_of(run)
    npu = [r for r in every if r["unit"] == "NPU" and r["scheme"].split("+")[0] == "int8"]
    server = []
    for device in dict.fromkeys(r["device"] for r in every):
        if device != HERE and "xeon" not in device.lower():
            continue
        for name in dict.fromkeys(r["model"] for r in every):
            for scheme in ("float32", "int8"):
                able = [r for r in every if (r["device"], r["unit"], r["model"], r["scheme"]) == (
                    device, "CPU", name, scheme)]
                if able:
                    server.append(min(able, key=lambda r: r["ms"]))
    if not server or not npu:
        missing = "an NPU" if server else "a server's CPU"
        raise NotAvailable(f"no latency of {missing}; name such a target with --target")
    return FigureData({}, {"rows": [*server, *npu], "paper_factor": PAPER_NPU_OVER_SERVER})
