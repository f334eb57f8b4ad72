"""Does another revision of this code give the same results, variants and bundle?

``python benchmarks/same_results.py REVISION [--save same-results]`` runs the demo with REVISION's
code and with this one and compares, byte for byte: weights, float models, calibration, variants,
builds and predictions of both runs; then, from the first run's measurements, the results that each
code computes and the bundle that it packs with one key. What differs in words alone (a reason, a
sentence of the card) is counted by file; any other difference fails.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from common import ROOT, RUNS, finish, positional

WORK = RUNS / "same-results"
# From the first run these are computed anew by both codes, from the same measurements.
COMPUTED = ("evidence", "analysis", "card", "report", "recommendation.json", "manifest.json")
SAME = ("models/*/weights.safetensors", "models/*/float.tflite", "calibration/*/*/*.json",
        "data/*.csv", "data/*.json", "variants/*/*", "builds/*/build.json",
        "measurements/*/predictions.npz")
RESULTS = ("report/results.json", "report/results.csv", "report/predictions.csv",
           "report/flips.csv", "evidence/*/*.json", "recommendation.json", "analysis/*/*/data.npz",
           "analysis/*/*/facts.json")


def bedside(source: Path, *arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "bedside", *map(str, arguments)], check=True, cwd=WORK,
                   env={**os.environ, "PYTHONPATH": str(source)}, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def words(old: Any, new: Any, place: str = "") -> list[str]:
    """Places at which two documents differ in a text; raises where they differ otherwise."""
    if isinstance(old, dict) and isinstance(new, dict) and old.keys() == new.keys():
        return [p for k in old for p in words(old[k], new[k], f"{place}.{k}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [p for i, (a, b) in enumerate(zip(old, new, strict=True))
                for p in words(a, b, f"{place}[{i}]")]
    if old == new:
        return []
    if isinstance(old, str) and isinstance(new, str) and " " in old + new:
        return [place]
    raise ValueError(f"{place}: {old!r} became {new!r}")


def compare(name: str, old: bytes, new: bytes, texts: dict[str, list[str]]) -> str | None:
    """Return how a file differs beyond words, or None; its texts that differ are added."""
    if old == new or name.endswith("manifest.json"):
        return None
    if name.endswith(".json"):
        try:
            places = words(json.loads(old), json.loads(new))
        except ValueError as error:
            return f"{name}{error}"
        texts.setdefault(name, []).extend(places)
        return None
    if name.endswith((".md", ".xml")):
        texts.setdefault(name, []).append("prose")
        return None
    return f"{name}: differs"


def folders(old: Path, new: Path, patterns: tuple[str, ...], texts: dict[str, list[str]]
            ) -> tuple[int, list[str]]:
    names = sorted({p.relative_to(base).as_posix() for base in (old, new) for pattern in patterns
                    for p in base.glob(pattern) if p.is_file()})
    faults = []
    for name in names:
        if not ((old / name).is_file() and (new / name).is_file()):
            faults.append(f"{name}: in one run only")
            continue
        fault = compare(name, (old / name).read_bytes(), (new / name).read_bytes(), texts)
        faults += [fault] if fault else []
    return len(names), faults


def entries(bundle: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(bundle.read_bytes())) as archive:
        return {n: archive.read(n) for n in archive.namelist()}


def bundles(old: Path, new: Path, texts: dict[str, list[str]]) -> tuple[int, list[str]]:
    """Compare two bundles by entry; hashes and seals follow from the entries."""
    before, after = entries(old), entries(new)
    faults = [] if before.keys() == after.keys() else ["bundle: other entries"]
    for name in before.keys() & after.keys():
        if name.startswith("manifest"):
            continue
        fault = compare(name, before[name], after[name], texts)
        faults += [f"bundle: {fault}"] if fault else []
    return len(before), faults


def main() -> None:
    revision = positional()[0]
    WORK.mkdir(parents=True, exist_ok=True)
    old_code = WORK / "code"
    subprocess.run(["git", "worktree", "add", "--force", "--detach", old_code, revision], cwd=ROOT,
                   check=True, capture_output=True)
    sources = {"old": old_code / "src", "new": ROOT / "src"}
    try:
        for name, source in sources.items():
            bedside(source, "demo", "--out", name)  # what is finished is not run again
        texts: dict[str, list[str]] = {}
        made = folders(WORK / "old", WORK / "new", SAME, texts)
        again = WORK / "again"
        shutil.rmtree(again, ignore_errors=True)
        shutil.copytree(WORK / "old", again)
        for part in COMPUTED:
            path = again / part
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        bedside(sources["new"], "report", again)
        computed = folders(WORK / "old", again, RESULTS, texts)
        if not (WORK / "keys").is_dir():
            bedside(sources["old"], "keygen", "--out", "keys")
        for name, run in (("old", "old"), ("new", "again")):
            bedside(sources[name], "bundle", run, "--target", "cpu", "--key", "keys/bedside.key",
                    "--out", f"{name}.zip")
        packed = bundles(WORK / "old.zip", WORK / "new.zip", texts)
        identical = (WORK / "old.zip").read_bytes() == (WORK / "new.zip").read_bytes()
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", old_code], cwd=ROOT, check=False,
                       capture_output=True)
    faults = [f for _, found in (made, computed, packed) for f in found]
    finish({"what": "files of two demo runs, of results computed anew from one run's measurements, "
                    "and of the bundle packed from it, by an earlier revision and by this code",
            "revision": revision, "files_of_the_runs": made[0], "files_of_results": computed[0],
            "entries_of_the_bundle": packed[0], "bundle_identical_to_the_byte": identical,
            "differences_beyond_words": faults,
            "texts_that_differ": {k: len(v) for k, v in sorted(texts.items()) if v}})
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
