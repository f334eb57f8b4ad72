"""Types that every backend takes and returns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bedside.core.build import Placement, Target, Variant


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a backend works here, and what would make it work.

    ``version``: of what makes or runs a build; builds of another version are made again.
    """

    works: bool
    detail: str
    remedy: str | None = None
    version: str = ""


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """A build to make: the variant in ``variant_dir`` of ``run``, its files into ``scratch``."""

    variant: Variant
    target: Target
    variant_dir: Path
    run: Path
    scratch: Path

    @property
    def file(self) -> Path:
        """The variant's own ``.tflite``."""
        return self.variant_dir / self.variant.file

    @property
    def quantizer(self) -> str:
        """The quantizer of a build that runs the variant's own file."""
        return {"float32": "none", "given": "quantized elsewhere"}.get(
            self.variant.scheme, "litert-quantizer")


@dataclass(frozen=True, slots=True)
class Placed:
    """Placement of a file's operations on a target, determined without running it.

    ``accepted`` is False where the target would not run it at all, with ``reason``.
    ``delegated_fraction``: of the operations that do work, how many run on the accelerator.
    """

    placement: tuple[Placement, ...]
    accelerator: str
    partitions: int | None = None
    delegated_fraction: float | None = None
    accepted: bool = True
    reason: str | None = None
    remedy: str | None = None


def fraction(placement: tuple[Placement, ...], accelerator: str,
             no_work: frozenset[str] = frozenset({"RESHAPE"})) -> float | None:
    """Return the share of working operations on the accelerator; None without any."""
    working = [p for p in placement if p.op not in no_work]
    if not working:
        return None
    return sum(p.runs_on == accelerator for p in working) / len(working)
