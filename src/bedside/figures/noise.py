"""Signal-to-quantization-noise ratio of every layer, variant against original."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bedside.core.build import Variant
from bedside.figures import inputs
from bedside.runfolder import stored
from bedside.schemes.layers import Layer, layers

IMAGES = 8


def layer_sqnr(run: Path, original: Variant, other: Variant, ids: Sequence[str]
               ) -> list[tuple[Layer, float | None]]:
    """Return the SQNR in dB of each layer that both files name, over all given images.

    10·log10(Σx² / Σ(x − y)²), x the original's and y the variant's feature map. None where nothing
    differs or the layer is all zero.

    Args:
        run: the run folder.
        original: the float32 variant.
        other: the variant.
        ids: cases of the pixel store.
    """
    base, mine = (inputs.Runner(run, v) for v in (original, other))
    theirs = {t.name: t.index for t in mine.graph.tensors}
    pairs = [(x, i, theirs[x.output]) for x in layers(base.graph)
             for i in [base.graph.operations[x.operation].outputs[0]] if x.output in theirs]
    signal, noise = np.zeros(len(pairs)), np.zeros(len(pairs))
    with stored.pixel_store(run, original.preprocess) as store:
        for image in store.tensors(ids):
            real = base.tensors(image, [i for _, i, _ in pairs])
            codes = mine.tensors(image, [j for _, _, j in pairs])
            for k, (a, b) in enumerate(zip(real, codes, strict=True)):
                signal[k] += np.square(a, dtype=np.float64).sum()
                noise[k] += np.square(a - b, dtype=np.float64).sum()
    return [(x, float(10 * np.log10(signal[k] / noise[k]))
             if signal[k] > 0 and noise[k] > 0 else None) for k, (x, _, _) in enumerate(pairs)]
