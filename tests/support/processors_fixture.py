"""A finished run with cells of several devices and processors beside this machine's CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from report_fixture import make_run

from bedside.core import codec
from bedside.core.build import Latency, Measurement
from bedside.runfolder import artefact, layout

MODEL = "efficientnet_lite0"


def add(run: Path, scheme: str, target: str, ms: float | None, evidence: str = "estimated",
        **more) -> None:
    """Publish one cell of MODEL on a target."""
    old = codec.read_json(Measurement, layout.measurement_dir(
        run, f"{MODEL}-{scheme}", "cpu") / layout.MEASUREMENT)
    latency = None if ms is None else Latency(ms, None, 0, 1)
    values = {"status": "ok", "latency_ms": latency, "metrics": {}, "predictions": None,
              "evidence": {"latency": evidence} if ms else {}, "target": target, **more}
    new = Measurement(**{**{f: getattr(old, f) for f in Measurement.__slots__}, **values})
    folder = layout.measurement_dir(run, new.variant, target)
    with artefact.writing(folder, "evaluate", "key") as scratch:
        artefact.write_text(scratch / layout.MEASUREMENT, codec.to_json(new))


def processors_run(factory: Any) -> Path:
    """Measured, estimated and unsupported cells of one model; made anew at each call."""
    made = make_run(factory.mktemp("processors") / "run")
    add(made, "float32", "sd865-cpu", 40.0, facts={"fitted": 0.0})
    add(made, "int8", "sd865-cpu", 10.0, facts={"fitted": 1.0})
    add(made, "int8", "sd865-npu", 2.0, facts={"fitted": 1.0})
    add(made, "int8", "sd8gen3-npu", 0.2, facts={"fitted": 1.0})
    add(made, "float32", "sd865-npu", None, status="unsupported", reason="no float arithmetic")
    add(made, "float32", "openvino", 9.0, "measured")
    add(made, "int8", "openvino", 3.0, "measured", quantizer="nncf 3.4.0")
    return made


