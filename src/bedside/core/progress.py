"""The progress callback of every stage."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called with a stage's name and its finished and total units; ``detail`` is free text."""

    def __call__(self, stage: str, done: int, total: int, detail: str = "", /) -> None:
        """Report that ``done`` of ``total`` units of ``stage`` are finished."""
