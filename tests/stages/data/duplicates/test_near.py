"""Near-duplicates of every kind are found among all originals: 40 of each, 500 in make prove."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from data_fixture import scanned
from near_duplicates import KINDS, write_near_duplicate
from paths import SHARED

from bedside.core.study import PhantomConfig
from bedside.readers import folder, manifest
from bedside.stages.data import scan
from bedside.stages.data.duplicates.group import Groups, group
from bedside.synthetic.phantom import write_dataset

BUSI = SHARED / "data" / "busi"
N = 40


@pytest.fixture(scope="module", params=["BUSI", "phantom"])
def found(request, tmp_path_factory) -> tuple[Groups, list[tuple[str, int, int]], int]:
    """The grouping of originals and copies, and (kind, original, copy) by index."""
    scratch = tmp_path_factory.mktemp("copies")
    if request.param == "BUSI":
        if not BUSI.is_dir():
            pytest.skip("the BUSI images are not beside this checkout (shared/data/busi)")
        listing = folder.read(BUSI)
    else:
        config = PhantomConfig(images=N, height_px=160, width_px=192)
        listing = manifest.read(write_dataset(config, 3, scratch))
    rng = np.random.default_rng(5)
    files = [listing.root / c.file for c in listing.cases]
    originals = len(files)
    made = []
    for kind in KINDS:
        for i in rng.permutation(originals)[:N].tolist():
            made.append((kind, i, len(files)))
            files.append(write_near_duplicate(kind, files[i], scratch / kind / str(i), rng))
    names = [str(f) for f in files]
    with scan.Thumbs() as thumbs:
        return group(scanned(Path("/"), names, thumbs), thumbs), made, originals


@pytest.mark.parametrize("kind", KINDS)
def test_recall(found, kind: str) -> None:
    groups, made, _ = found
    hits = [groups.duplicates[a] == groups.duplicates[b] for k, a, b in made if k == kind]
    assert len(hits) == N and sum(hits) >= 0.99 * N


def test_no_giant_group(found) -> None:
    groups, _, originals = found
    sizes = Counter(groups.duplicates[:originals])
    # BUSI has one sweep of seven; phantoms are all unlike.
    assert max(sizes.values()) <= 8
