"""The paper's latency ratios beside the cost model's estimates for the same devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bedside.core.text import DASH
from bedside.stages.report.results import Row


@dataclass(frozen=True, slots=True)
class Printed:
    """A ratio that the paper prints: slow (target, scheme) over fast (target, scheme)."""

    what: str
    paper: str
    slow: tuple[str, str]
    fast: tuple[str, str]


_CPU = ("sd865-cpu", "float32")
# Section 8.3 and Figures 10 and 11: VGG16 on a Snapdragon 865 and a Xeon 5215, measured.
PRINTED = (
    Printed("dynamic range on the CPU, against FP32 there", "3.8 times as fast", _CPU,
            ("sd865-cpu", "dynamic")),
    Printed("INT8 on the CPU, against FP32 there", "3.8 times as fast", _CPU,
            ("sd865-cpu", "int8")),
    Printed("FP32 on the GPU, against FP32 on the CPU", "8% less time", _CPU,
            ("sd865-gpu", "float32")),
    Printed("FP16 on the GPU, against FP32 on the CPU", "9% less time", _CPU,
            ("sd865-gpu", "float16")),
    Printed("INT8 on the NPU, against FP32 on the CPU", "33 times as fast", _CPU,
            ("sd865-npu", "int8")),
    Printed("INT8 on the NPU, against FP32 on the server’s CPU", "8.3 times as fast",
            ("xeon5215-cpu", "float32"), ("sd865-npu", "int8")),
)


@dataclass(frozen=True, slots=True)
class RatioTable:
    """Models, and a line per ratio: its name, the paper's value, and each model's estimate."""

    models: tuple[str, ...]
    lines: tuple[tuple[str, str, tuple[str, ...]], ...]


def table(rows: Sequence[Row]) -> RatioTable | None:
    """Return every printed ratio that this run has an estimate of; None where it has none."""
    found = {(r["model"], r["target"], r["scheme"]): r for r in rows
             if r["status"] == "ok" and r["latency_ms"] is not None}
    models = tuple(dict.fromkeys(r["model"] for r in rows))
    lines = []
    for printed in PRINTED:
        own = tuple(_ours(found.get((m, *printed.slow)), found.get((m, *printed.fast)))
                    for m in models)
        if any(t != DASH for t in own):
            lines.append((printed.what, printed.paper, own))
    return RatioTable(models, tuple(lines)) if lines else None


def _ours(slow: Row | None, fast: Row | None) -> str:
    if slow is None or fast is None:
        return DASH
    ratio = slow["latency_ms"]["median"] / fast["latency_ms"]["median"]
    unfitted = any(r["facts"].get("fitted") == 0.0 for r in (slow, fast))
    return f"{ratio:.2g} times as fast, estimated{' (unfitted)' if unfitted else ''}"
