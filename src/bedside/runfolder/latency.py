"""Latency samples of a cell: ``latency.csv``, its medians by round and its summary."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bedside.core import codec
from bedside.core.build import Latency
from bedside.core.errors import BadInput
from bedside.runfolder import artefact

# Round (one fresh process each), number within the round, milliseconds.
Sample = tuple[int, int, float]


def write(path: Path, samples: Sequence[Sample]) -> None:
    """Write ``latency.csv``, one row per sample."""
    artefact.write_csv(path, ("round", "sample", "ms"),
                       ((r, s, f"{ms:.6f}") for r, s, ms in samples))


def read(path: Path) -> tuple[Sample, ...]:
    """Return the samples in ``latency.csv``, none where there is no file.

    Raises:
        BadInput: a row that does not read.
    """
    if not path.is_file():
        return ()
    try:
        return tuple((int(row["round"]), int(row["sample"]), float(row["ms"]))
                     for row in csv.DictReader(io.StringIO(codec.read_text(path))))
    except (KeyError, ValueError, TypeError) as error:
        raise BadInput(f"a row is unreadable ({error})", where=path,
                       remedy="Delete the measurement and run again.") from None


def round_medians(samples: Sequence[Sample]) -> list[float]:
    """Return the median milliseconds of each round, by round."""
    by_round: dict[int, list[float]] = {}
    for number, _, ms in samples:
        by_round.setdefault(number, []).append(ms)
    return [float(np.median(by_round[n])) for n in sorted(by_round)]


def summary(samples: Sequence[Sample], threads: int) -> Latency | None:
    """Return the median and the 95th percentile over all samples, None where there are none."""
    if not samples:
        return None
    ms = np.array([s[2] for s in samples])
    return Latency(float(np.median(ms)), float(np.percentile(ms, 95)), len(ms), threads)
