"""Twins of every kind are found among all the originals: 40 of each here, 500 in make prove."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from paths import SHARED
from twins import KINDS, write_twin

from bedside.core.study import PhantomConfig
from bedside.readers import folder, manifest
from bedside.stages.data import scan
from bedside.stages.data.duplicates.group import Groups, group
from bedside.synthetic.phantom import write_dataset

BUSI = SHARED / "data" / "busi"
N = 40


@pytest.fixture(scope="module", params=["BUSI", "phantom"])
def found(request, tmp_path_factory) -> tuple[Groups, list[tuple[str, int, int]], int]:
    """The grouping of originals and twins, and (kind, original, twin) by index."""
    scratch = tmp_path_factory.mktemp("twins")
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
    twins = []
    for kind in KINDS:
        for i in rng.permutation(originals)[:N].tolist():
            twins.append((kind, i, len(files)))
            files.append(write_twin(kind, files[i], scratch / kind / str(i), rng))
    names = [str(f) for f in files]
    with scan.Thumbs() as thumbs:
        seen = scan.scan(Path("/"), names, scan.file_hashes(Path("/"), names), thumbs)
        return group(seen, [None] * len(names), thumbs), twins, originals


@pytest.mark.parametrize("kind", KINDS)
def test_recall(found, kind: str) -> None:
    groups, twins, _ = found
    hits = [groups.pictures[a] == groups.pictures[b] for k, a, b in twins if k == kind]
    assert len(hits) == N and sum(hits) >= 0.99 * N


def test_no_giant_group(found) -> None:
    groups, _, originals = found
    sizes = Counter(groups.pictures[:originals])
    # BUSI has one sweep of seven; phantoms are all unlike.
    assert max(sizes.values()) <= 8
