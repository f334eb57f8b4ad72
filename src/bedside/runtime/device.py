"""A bundle running on this device: it answers only after its self-test passed."""

from __future__ import annotations

import contextlib
import math
import platform
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from bedside.core.errors import BadInput, GateFailed
from bedside.runtime.bundle.manifest import Reference
from bedside.runtime.bundle.reader import Bundle
from bedside.runtime.decide import Answer, decide
from bedside.runtime.engine import TIMEOUT_S, Engine, Load, Raw


@dataclass(frozen=True, slots=True)
class SelfTest:
    """Result of the reference vectors on this device: the installation qualification."""

    vectors: int
    largest_difference: float
    tolerance: float
    largest_pixel_difference: int
    architecture: str


def load_of(bundle: Bundle, threads: int | None = None) -> Load:
    """Return the part of a bundle that the engine needs."""
    model = bundle.manifest.model
    names = [model.file, *(n for n in bundle.named("model") if n != model.file)]
    return Load(tuple((n, bundle.files[n]) for n in names), bundle.manifest.preprocess,
                len(bundle.manifest.task.classes), model.backend, threads or model.threads,
                model.cam)


def self_test(engine: Engine, bundle: Bundle) -> SelfTest:
    """Run every reference vector on the very process that will answer.

    Raises:
        GateFailed: a vector differs by more than its tolerance; the device must not answer.
    """
    reference: Reference = bundle.reference
    worst, grey = 0.0, 0
    for vector in reference.vectors:
        pixels = bytes(bundle.files[vector.pixels])
        own = engine.resize(bundle.files[vector.image], vector.image)
        if len(own) != len(pixels):
            raise _differs(bundle, f"{vector.image} was read as another kind of image")
        if own != pixels:
            grey = max(grey, max(abs(a - b) for a, b in zip(own, pixels, strict=True)))
        found = engine.resized(pixels, vector.image)
        worst = max(worst, *(abs(a - b) for a, b in zip(found.logits, vector.logits, strict=True)))
    if grey > reference.pixel_tolerance:
        raise _differs(bundle, f"images are read differently here (by {grey} grey levels, "
                               f"{reference.pixel_tolerance} allowed)")
    if not math.isfinite(worst) or worst > reference.logit_tolerance:
        raise _differs(bundle, f"reference logits differ by {worst:.4g} "
                               f"({reference.logit_tolerance:.4g} allowed)")
    return SelfTest(len(reference.vectors), worst, reference.logit_tolerance, grey,
                    platform.machine())


def _differs(bundle: Bundle, what: str) -> GateFailed:
    return GateFailed(f"the self-test failed: {what}; this device must not use it",
                      where=bundle.where,
                      remedy="Use a bundle that was built for this device's target.")


class Device:
    """A verified bundle that passed its self-test on this device.

    Args:
        bundle: from :func:`bedside.runtime.bundle.reader.open_bundle`.
        threads: CPU threads instead of the bundle's own.
        engine: one that was started before, so that it could import meanwhile.

    Raises:
        GateFailed: the model does not load here, or the self-test failed.
    """

    def __init__(self, bundle: Bundle, threads: int | None = None,
                 engine: Engine | None = None) -> None:
        self.bundle = bundle
        self.familiarity = bundle.familiarity
        self._threads = threads
        self._engine = engine or Engine()
        self.test = self._start()

    def _start(self) -> SelfTest:
        try:
            self._engine.open(load_of(self.bundle, self._threads))
            return self_test(self._engine, self.bundle)
        except BaseException:
            self._engine.close()
            raise

    def restart(self) -> None:
        """Start a fresh process with the same bundle and repeat the self-test."""
        self._engine.close()
        self._engine = Engine()
        self.test = self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self._engine.close()

    @property
    def pid(self) -> int:
        """The engine's process id."""
        return self._engine.pid

    def image(self, data: bytes, name: str, timeout_s: float = TIMEOUT_S) -> tuple[Answer, Raw]:
        """Answer one image's bytes. Raises BadInput where they are no image."""
        return self._judged(self._engine.image(data, name, timeout_s), name)

    def images(self, images: Iterable[tuple[str, bytes]]) -> Iterator[tuple[Answer, Raw]]:
        """Answer many (name, bytes) in order; see :meth:`Engine.images`.

        Raises:
            BadInput: one is no image; the engine is closed.
        """
        sent: deque[str] = deque()

        def naming() -> Iterator[tuple[str, bytes]]:
            for name, data in images:
                sent.append(name)
                yield name, data

        with contextlib.closing(self._engine.images(naming())) as answers:
            for raw in answers:
                name = sent.popleft()
                if isinstance(raw, BadInput):
                    raise raw
                yield self._judged(raw, name)

    def pixels(self, data: bytes, shape: tuple[int, ...], dtype: str, name: str
               ) -> tuple[Answer, Raw]:
        """Answer decoded pixels (DICOM)."""
        return self._judged(self._engine.pixels(data, shape, dtype, name), name)

    def _judged(self, raw: Raw, name: str) -> tuple[Answer, Raw]:
        manifest = self.bundle.manifest
        return decide(name, raw.logits, raw.features, raw.quality, manifest.task,
                     manifest.operating_point, self.familiarity), raw
