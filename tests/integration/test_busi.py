"""The data stage on real breast ultrasound (BUSI), where it lies beside the checkout."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest
from paths import ROOT

from bedside.core.errors import GateFailed
from bedside.core.study import DataConfig, Study
from bedside.core.types import Case
from bedside.readers import folder
from bedside.runfolder import layout, stored
from bedside.stages.data import scan
from bedside.stages.data.duplicates.group import group
from bedside.stages.data.stage import prepare

BREASTMNIST = {"other": ("benign", "normal")}


@pytest.fixture(scope="module")
def official(busi: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BreastMNIST's task and split, regrouped."""
    run = tmp_path_factory.mktemp("busi")
    prepare(run, Study(data=DataConfig(
        source=str(busi), merge=BREASTMNIST, split_file=str(busi / "official_split.csv"),
        regroup=True)))
    return run


def audit_of(run: Path) -> dict:
    return json.loads((layout.data_dir(run) / layout.AUDIT).read_text())


def test_every_image_is_accounted_for(official: Path) -> None:
    audit = audit_of(official)
    used = sum(sum(c.values()) for c in audit["used"].values())
    # 624 images and the split file; 637 masks are no images.
    assert audit["read"] == 625 == used + len(audit["set_aside"])
    assert audit["masks"] == 637
    assert stored.task(official).classes == ("other", "malignant")


def test_the_known_conflict_is_found(official: Path) -> None:
    # Pawłowska et al. 2023 name pairs of BUSI that lie in two classes.
    assert audit_of(official)["conflicts"] == [{"labels": {
        "other": ["benign/benign (164).png", "benign/benign (85).png"],
        "malignant": ["malignant/malignant (52).png"]}}]


def test_near_duplicates_are_found_without_chains(official: Path) -> None:
    audit = audit_of(official)
    assert 100 <= len(audit["duplicates"]) <= 140
    assert audit["largest_group"] <= 10


@pytest.mark.parametrize(("first", "second", "same"), [
    ("benign/benign (277).png", "benign/benign (300).png", True),   # calipers, another gain
    ("benign/benign (2).png", "benign/benign (319).png", True),     # shifted crop
    ("normal/normal (50).png", "normal/normal (53).png", True),     # next frame of a sweep
    ("malignant/malignant (177).png", "malignant/malignant (72).png", False),  # layout alone
])
def test_pairs_that_were_looked_at(official: Path, first: str, second: str, same: bool) -> None:
    groups = {c.file: c.group for c in stored.cases(official)}
    assert (groups[first] == groups[second]) is same


def test_precision_on_pairs_judged_by_eye(busi: Path) -> None:
    """busi_pairs.csv: every pair that the program joined and the pairs it nearly joined.

    Verdicts: one scan ("same": same frame or next frames of one sweep), the same lesion in
    another view ("lesion"), or not ("different").
    """
    table = (ROOT / "tests" / "support" / "busi_pairs.csv").read_text().splitlines()
    pairs = list(csv.DictReader(table))
    files = [c.file for c in folder.read(busi).cases]
    place = {f: i for i, f in enumerate(files)}
    with scan.Thumbs() as thumbs:
        cases = [Case("", file, "", sha256=str(i)) for i, file in enumerate(files)]
        found = group(scan.scan(busi, cases, thumbs), thumbs)
    pictures = found.duplicates
    judged = {frozenset((p["first"], p["second"])): p["verdict"] for p in pairs}
    # A link that nobody has judged counts against the program.
    links = [judged.get(frozenset((files[k.first], files[k.second]))) for k in found.links]
    assert len(links) >= 100 and links.count("same") >= 0.95 * len(links)
    joined = [p["verdict"] for p in pairs
              if pictures[place[p["first"]]] == pictures[place[p["second"]]]]
    verdicts = Counter(p["verdict"] for p in pairs)
    assert verdicts["same"] >= 100 and verdicts["different"] >= 20
    assert joined.count("same") >= 0.98 * verdicts["same"]
    assert joined.count("same") >= 0.95 * len(joined)
    assert joined.count("different") == 0
    assert max(Counter(pictures).values()) <= 10


def test_groups_and_parts(official: Path) -> None:
    used = [c for c in stored.cases(official) if c.split != "set_aside"]
    parts: dict[str, set[str]] = {}
    for case in used:
        parts.setdefault(case.group, set()).add(case.split)
    assert all(len(p) == 1 for p in parts.values())
    counts = Counter(c.split for c in used)
    assert counts["test"] == pytest.approx((counts["train"] + counts["test"]) / 6, abs=1)
    assert any("no test part" in n for n in audit_of(official)["notes"])


def test_the_official_split_fails_the_gate(busi: Path, tmp_path: Path) -> None:
    config = DataConfig(source=str(busi), merge=BREASTMNIST,
                        split_file=str(busi / "official_split.csv"))
    with pytest.raises(GateFailed, match=r"31 groups of 77 images.*--regroup"):
        prepare(tmp_path / "run", Study(data=config))


def test_breastmnist_at_28_pixels_shows_the_same_twins(busi: Path, tmp_path: Path) -> None:
    source = busi.parent / "breastmnist_28_trainval.npz"
    prepare(tmp_path, Study(data=DataConfig(source=str(source), regroup=True,
                                            class_names=("malignant", "benign"))))
    audit = audit_of(tmp_path)
    assert audit["read"] == 624 and 27 <= len(audit["twins"]) <= 35
    assert len(audit["conflicts"]) == 1
