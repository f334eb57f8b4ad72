"""The plan of a lab: which variants and images phones measure, under the study's latency rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bedside.core.build import Variant
from bedside.core.errors import BadInput
from bedside.core.study import EvaluateConfig
from bedside.core.types import Case
from bedside.runfolder import artefact, layout, stored

Accelerator = Literal["wasm", "webgpu", "webnn"]
_TEXT = "text"  # the audit's flag of a case
ACCELERATORS: tuple[Accelerator, ...] = ("wasm", "webgpu", "webnn")


@dataclass(frozen=True)
class Plan:
    """Variants, rule and images of a lab. ``cases`` is empty where images are not shared.

    ``held_back`` images of the evaluated splits carry text in their pixels and stay here.
    """

    run: Path
    variants: tuple[Variant, ...]
    config: EvaluateConfig
    cases: tuple[Case, ...]
    held_back: int = 0

    def key(self) -> str:
        """Return a key that changes whenever a measurement would be another one."""
        return artefact.stage_key("lab", [v.sha256 for v in self.variants], self.config,
                                  [c.id for c in self.cases])

    def rounds(self, accelerators: Sequence[str]) -> list[list[list[Any]]]:
        """Return for each round every (variant index, accelerator) in an order of its own."""
        cells = [[i, a] for i in range(len(self.variants)) for a in accelerators]
        order = np.random.default_rng(0)
        return [[cells[int(k)] for k in order.permutation(len(cells))]
                for _ in range(self.config.rounds)]

    def latency_images(self) -> list[int]:
        """Return the timed images, as ``evaluate`` chooses them: the first by id, repeated."""
        first = sorted(range(len(self.cases)), key=lambda i: self.cases[i].id)
        first = first[:self.config.samples]
        return [first[i % len(first)] for i in range(self.config.samples)] if first else []

    def model(self, index: int) -> bytes:
        """Return a variant's file, compared with its hash."""
        variant = self.variants[index]
        folder = layout.variant_dir(self.run, variant.id)
        artefact.check(folder, "quantize")
        return (folder / variant.file).read_bytes()

    def pixels(self, variant: int, image: int) -> tuple[bytes, str]:
        """Return one image as the network sees it before the division, and its dtype.

        Nothing else of the image leaves: no file, no name, no label, no full resolution.
        """
        with stored.pixel_store(self.run, self.variants[variant].preprocess) as store:
            found = store.pixels(self.cases[image].id)
        return found.astype(found.dtype.newbyteorder("<")).tobytes(), found.dtype.name


def make_plan(run: Path, share_images: bool, only: str | None = None) -> Plan:
    """Return the plan of a run.

    Args:
        run: a run whose variants are made.
        share_images: the workbench's side of the consent: the images of the evaluated splits
            may go, resized and nameless, to phones whose holders consent too.
        only: a glob over variants.

    Raises:
        BadInput: nothing to measure, or no image that may leave.
    """
    config = stored.study(run).evaluate
    variants = tuple(v for v in stored.variants(run) if only is None or fnmatch(v.id, only))
    if not variants:
        raise BadInput("no variants to measure", where=run,
                       remedy="Run bedside quantize first, or change --only.")
    asked = [c for c in stored.cases(run) if c.split in config.splits] if share_images else []
    # Text burned into an image may be a name, and may still be read at the network's size.
    cases = tuple(c for c in asked if _TEXT not in c.flags)
    if asked and not cases:
        raise BadInput("every image has text in its pixels, and none may leave this machine",
                       where=run, remedy="Bring the images in with bedside import, which cleans "
                       "them, or start without --share-images.")
    if share_images:
        for variant in variants:
            artefact.record(layout.cache_dir(run, variant.preprocess), "cache")
    return Plan(run, variants, config, cases, len(asked) - len(cases))
