"""Selection that covers the model's feature space: greedy k-centre (Gonzalez 1985).

Starting from a random image, the next is always the one furthest from all chosen so far. The
largest distance of any image to a chosen one is at most twice the smallest possible.
"""

from __future__ import annotations

import numpy as np

from bedside.selection import Pool, order


def choose(pool: Pool, count: int, seed: int) -> tuple[str, ...]:
    """Return ``count`` ids, furthest first; a smaller draw is the beginning of a larger one."""
    if pool.features is None:
        raise ValueError("coverage needs features")
    rows = pool.features().astype(np.float64)
    # Features are standardised, or one with large values would dominate.
    rows = (rows - rows.mean(axis=0)) / np.maximum(rows.std(axis=0), 1e-12)
    chosen = [int(order(seed, len(pool.ids))[0])]
    distance = np.square(rows - rows[chosen[0]]).sum(axis=1)
    while len(chosen) < min(count, len(pool.ids)):
        distance[chosen] = -1.0  # never twice, also where images are identical
        furthest = int(distance.argmax())
        chosen.append(furthest)
        distance = np.minimum(distance, np.square(rows - rows[furthest]).sum(axis=1))
    return tuple(pool.ids[i] for i in chosen)
