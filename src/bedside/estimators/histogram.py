"""Histogram that grows in range but not in size, shared by three estimators."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from bedside.estimators.extremes import extremes

BINS = 4096

Counts = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]

_scratch: dict[str, npt.NDArray[np.float32]] = {}


class Histogram:
    """Exact counts of values in bins ``[i·w, (i+1)·w)``; w is a power of two.

    The grid is anchored at 0, so 0 is always a bin's edge. Where a value falls outside, the
    bins are moved, or w is doubled and bins are joined in pairs: no value is ever counted in a
    bin that does not hold it, whatever the order of the images.
    """

    def __init__(self) -> None:
        self.width = 0.0
        self.first = 0
        self.counts: Counts = np.zeros(BINS, np.int64)
        self.low, self.high = math.inf, -math.inf

    def update(self, values: npt.NDArray[np.float32]) -> None:
        """Count the values of one image."""
        flat = values.reshape(-1)
        low, high = extremes(flat)
        self.low, self.high = min(self.low, low), max(self.high, high)
        self._make_room()
        # One buffer for all tensors: allocating tens of megabytes per image costs more than
        # counting. w is a power of two, so the division is exact.
        buffer = _scratch.get("places")
        if buffer is None or buffer.size < flat.size:
            buffer = _scratch["places"] = np.empty(flat.size, np.float32)
        places = buffer[:flat.size]
        np.multiply(flat, np.float32(1.0 / self.width), out=places)
        np.floor(places, out=places)
        places -= np.float32(self.first)
        self.counts += np.bincount(places.astype(np.intp), minlength=BINS)

    def _make_room(self) -> None:
        if self.width == 0.0:
            # A thousandth of the size at least: a bin's number then is exact in float32.
            span = max(self.high - self.low, abs(self.high) / 1e3, abs(self.low) / 1e3, 1e-20)
            # At least a quarter of the bins are in use, and there is room for later images.
            self.width = 2.0 ** math.ceil(math.log2(span / (BINS / 2)))
            self.first = self._centred(self.low, self.high)
        while not self._fits():
            left, right = math.floor(self.low / self.width), math.floor(self.high / self.width)
            if right - left < BINS:
                self._move(self._centred(self.low, self.high))
            else:
                self._double()

    def _centred(self, low: float, high: float) -> int:
        left, right = math.floor(low / self.width), math.floor(high / self.width)
        return left - (BINS - 1 - (right - left)) // 2

    def _fits(self) -> bool:
        left, right = math.floor(self.low / self.width), math.floor(self.high / self.width)
        return self.first <= left and right < self.first + BINS

    def _move(self, first: int) -> None:
        used = np.flatnonzero(self.counts)
        moved = np.zeros_like(self.counts)
        moved[used + self.first - first] = self.counts[used]
        self.counts, self.first = moved, first

    def _double(self) -> None:
        used = np.flatnonzero(self.counts)
        joined = (used + self.first) // 2
        first = int(joined.min()) if used.size else self.first // 2
        counts = np.zeros_like(self.counts)
        np.add.at(counts, joined - first, self.counts[used])
        self.counts, self.first, self.width = counts, first, 2.0 * self.width

    # -------------------------------------------------------------- reading

    def used(self) -> tuple[Values, Counts]:
        """Return edges (n + 1,) and counts (n,) from the first to the last bin in use."""
        places = np.flatnonzero(self.counts)
        if not places.size:
            raise ValueError("no values")
        start, stop = int(places[0]), int(places[-1]) + 1
        edges: Values = (np.arange(start, stop + 1, dtype=np.float64) + self.first) * self.width
        return edges, self.counts[start:stop]

    def quantile(self, share: float) -> float:
        """Return the value below which ``share`` of all values lie, linear within a bin."""
        edges, counts = self.used()
        below = np.concatenate([[0], np.cumsum(counts)]) / counts.sum()
        place = min(max(int(np.searchsorted(below, share, side="right")) - 1, 0), counts.size - 1)
        inside = (share - below[place]) / max(below[place + 1] - below[place], 1e-300)
        value = edges[place] + min(max(inside, 0.0), 1.0) * self.width
        return float(min(max(value, self.low), self.high))

    def outside(self, low: float, high: float) -> float:
        """Return the share of all values below ``low`` or above ``high``, linear within a bin."""
        edges, counts = self.used()
        below = np.concatenate([[0], np.cumsum(counts)]) / counts.sum()
        left, right = np.interp([low, high], edges, below)
        if low <= self.low:
            left = 0.0
        if high >= self.high:
            right = 1.0
        return float(left + 1.0 - right)
