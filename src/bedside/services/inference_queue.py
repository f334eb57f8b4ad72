"""A bounded queue in front of the models, with counters that hold no patient data."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from bedside.core.errors import GateFailed
from bedside.runtime.decide import Answer
from bedside.runtime.device import Device
from bedside.runtime.engine import Raw


class Full(Exception):
    """The queue is full."""


class InferenceQueue:
    """The queue in front of the devices (one process each).

    Args:
        devices: opened and self-tested.
        waiting: how many requests may wait or run at once.
        timeout_s: how long one inference may take.
    """

    def __init__(self, devices: Sequence[Device], waiting: int, timeout_s: float) -> None:
        self.devices = {d.bundle.id: d for d in devices}
        self.first = devices[0].bundle.id
        self.counts: Counter[str] = Counter()
        self._room, self._timeout_s, self._inside = waiting, timeout_s, 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inference")

    async def ask(self, bundle_id: str, image: bytes) -> tuple[Answer, Raw]:
        """Answer one image.

        Raises:
            Full: as many requests wait as may.
            BadInput: not an image.
            GateFailed: the process ended or took too long; a fresh one was started.
        """
        if self._inside >= self._room:
            self.counts["turned_away"] += 1
            raise Full
        self._inside += 1
        try:
            answer, raw = await asyncio.get_running_loop().run_in_executor(
                self._thread, self._run, self.devices[bundle_id], image)
        finally:
            self._inside -= 1
        self.counts["answered"] += 1
        self.counts["warned"] += bool(answer.warnings)
        self.counts["unfamiliar"] += answer.familiar is False
        return answer, raw

    def _run(self, device: Device, image: bytes) -> tuple[Answer, Raw]:
        try:
            return device.image(image, "image", self._timeout_s)
        except GateFailed:
            device.restart()
            self.counts["restarted"] += 1
            raise

    def close(self) -> None:
        """Let the running inference end, then end the processes."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        for device in self.devices.values():
            device.close()
