"""Noise of feature maps by layer."""

from __future__ import annotations

from bedside.figures import inputs, noise
from bedside.runfolder import stored


def test_noise_is_lower_in_half_precision_and_absent_from_the_original(run) -> None:
    original, variants = inputs.original_of(run, "tiny"), inputs.quantized_of(run, "tiny")
    ids = [c.id for c in stored.cases(run) if c.split == "val"][:2]
    half, integer = ({x.name: db for x, db in noise.layer_sqnr(run, original, v, ids)}
                     for v in (variants["float16"], variants["int8"]))
    assert half and all(half[k] > integer[k] for k in half if None not in (half[k], integer.get(k)))
    assert {db for _, db in noise.layer_sqnr(run, original, original, ids)} == {None}
