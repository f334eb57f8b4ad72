"""Published record of a calibration. No logic lives here."""

from __future__ import annotations

from dataclasses import dataclass

from bedside.core.study import CalibrationConfig


@dataclass(frozen=True, slots=True)
class Calibration:
    """``calibration.json``: how the ranges were set; ``ids`` are all from the training split."""

    model: str
    config: CalibrationConfig
    ids: tuple[str, ...]
