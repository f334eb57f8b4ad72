"""Which images a calibration looks at."""

from __future__ import annotations

import numpy as np
import pytest

from bedside.core import registry
from bedside.selection import CHOICES, Pool

RNG = np.random.default_rng(3)
IDS = tuple(f"c{i:03d}" for i in range(60))
LABELS = tuple("malignant" if i % 4 == 0 else "benign" for i in range(60))
ROWS = RNG.normal(size=(60, 5)).astype(np.float32)


def _pick(name, count, seed=0, rows=ROWS, ids=IDS, labels=LABELS):
    return registry.lookup(CHOICES, name, "choice")(Pool(ids, labels, lambda: rows), count, seed)


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_is_seeded_without_repeats_and_grows_at_its_end(name):
    chosen = _pick(name, 20)
    assert len(set(chosen)) == 20 and set(chosen) <= set(IDS)
    assert chosen == _pick(name, 20) == _pick(name, 40)[:20]
    assert chosen != _pick(name, 20, seed=1)
    assert set(_pick(name, 1000)) == set(IDS)
