"""The store of bundles: install, activate, refuse what does not verify."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import device_fixture
from bundle_fixture import packed
from device_fixture import VARIANT, changed, png
from zip_attacks import ATTACKS

from bedside.runtime import store as stores
from bedside.runtime.bundle import signing

bedside, cells, keys, file = (device_fixture.bedside, device_fixture.cells, device_fixture.keys,
                              device_fixture.file)


def test_install_switches_only_to_what_passed(bedside, cells, file, keys, tmp_path):
    code, out, _ = bedside("install", file, "--trust", keys[1], "--json")
    assert code == 0
    first = json.loads(out)["id"]
    flipped = bytearray(file.read_bytes())
    flipped[len(flipped) // 2] ^= 4
    other = changed(file, keys, lambda m, f: f.update({"licence.txt": ("licence", b"other")}))
    wrong = changed(file, keys, lambda m, f: replace(m, operating_point=replace(
        m.operating_point, threshold=2.0)))
    broken = changed(file, keys, lambda m, f: f.update(
        {m.model.file: ("model", f[m.model.file][1][:-500])}))
    for bad in (bytes(flipped), wrong, broken, b"", file.read_bytes()[:-1]):
        (tmp_path / "bad.zip").write_bytes(bad)
        code, out, err = bedside("install", tmp_path / "bad.zip")
        assert (code, out) == (1, ""), err
        assert stores.installed(tmp_path / "store") == ([first], first)
    (tmp_path / "other.zip").write_bytes(other)
    code, out, _ = bedside("install", tmp_path / "other.zip", "--json")
    second = json.loads(out)["id"]
    assert stores.installed(tmp_path / "store") == (sorted([first, second]), second)
    code, out, _ = bedside("installed", "--activate", first[:6], "--json")
    assert json.loads(out)["active"] == first
    image = tmp_path / "x.png"
    image.write_bytes(png())
    for name in ("active", first, second[:8]):
        code, out, err = bedside("predict", name, image, "--json")
        assert code == 0, err
    assert json.loads(out)["bundle"]["id"] == second
    code, _, err = bedside("predict", "ffffffff", image)
    assert code == 2
    assert "installed" in err
    assert not list((tmp_path / "store").rglob("*.part"))


def test_a_store_without_bundles_says_so_and_a_file_is_none(bedside, tmp_path):
    code, out, _ = bedside("installed", "--store", tmp_path / "bare")
    assert code == 0 and "no bundle is installed in" in out
    code, out, _ = bedside("installed", "--store", tmp_path / "bare", "--json")
    assert code == 0 and json.loads(out)["bundles"] == []
    (tmp_path / "file").write_text("")
    code, out, err = bedside("installed", "--store", tmp_path / "file")
    assert (code, out) == (2, "") and "is a file; a bundle store is a folder" in err


def test_no_attack_on_a_bundle_leaves_a_file_or_another_active_one(bedside, file, keys, tmp_path):
    """The attacks of test_bundle.py through ``install``."""
    private = signing.keygen(tmp_path / "attacker")[0]
    store = tmp_path / "store"
    assert bedside("install", file, "--trust", keys[1], "--store", store)[0] == 0
    good = packed(keys[0])
    (tmp_path / "bad.zip").touch()
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    attacks = {**ATTACKS, "signed by another": lambda d: packed(private)}
    for name, attack in attacks.items():
        (tmp_path / "bad.zip").write_bytes(attack(good))
        code, out, err = bedside("install", tmp_path / "bad.zip", "--store", store)
        assert (code, out) == (1, ""), name
        assert err.count("\n") == 1, name
        after = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
        assert {**after, tmp_path / "bad.zip": b""} == before, name


def _on_a_full_disk(*arguments):
    """The command where writes past 100 kB fail at any place (200 blocks of 512 bytes)."""
    return subprocess.run(
        ["sh", "-c", 'ulimit -f 200; exec "$@"', "sh", sys.executable, "-m", "bedside",
         *map(str, arguments)], capture_output=True, text=True, check=False)


def test_a_full_disk_leaves_the_active_bundle_and_no_half_one(bedside, cells, file, keys, tmp_path):
    assert bedside("install", file, "--trust", keys[1])[0] == 0
    before = stores.installed(tmp_path / "store")
    (tmp_path / "other.zip").write_bytes(
        changed(file, keys, lambda m, f: f.update({"licence.txt": ("licence", b"other")})))
    for arguments in (("install", tmp_path / "other.zip"),
                      ("bundle", cells, "--target", "cpu", "--variant", VARIANT, "--below-floor",
                       "--out", tmp_path / "new.zip")):
        done = _on_a_full_disk(*arguments)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        assert "past the limit" in done.stderr.splitlines()[-1]
    assert stores.installed(tmp_path / "store") == before
    assert not (tmp_path / "new.zip").exists()
    assert not list(tmp_path.rglob("*.part"))


def test_a_bundle_changed_in_the_store_is_refused(bedside, file, keys, tmp_path):
    assert bedside("install", file, "--trust", keys[1])[0] == 0
    stored = next((tmp_path / "store" / "bundles").glob("*.zip"))
    data = bytearray(stored.read_bytes())
    data[-100] ^= 1
    stored.write_bytes(bytes(data))
    image = tmp_path / "x.png"
    image.write_bytes(png())
    assert bedside("predict", "active", image)[0] == 1
