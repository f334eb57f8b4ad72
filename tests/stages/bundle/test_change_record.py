"""The change record against the previous bundle."""

from __future__ import annotations

import json
import shutil

import device_fixture
import pytest
from bundle_fixture import packed
from device_fixture import VARIANT

from bedside.core.errors import BadInput
from bedside.runfolder import stored
from bedside.runtime.bundle import signing
from bedside.runtime.bundle.reader import open_bundle
from bedside.stages.bundle import build as deploy

bedside, cells, keys, file = (device_fixture.bedside, device_fixture.cells, device_fixture.keys,
                              device_fixture.file)


def test_an_unsigned_bundle_before_is_refused_where_keys_are_named(bedside, cells, keys, tmp_path):
    before, out = tmp_path / "before.zip", tmp_path / "after.zip"
    before.write_bytes(packed())
    asked = ("bundle", cells, "--target", "cpu", "--variant", VARIANT, "--below-floor", "--out",
             out, "--against", before)
    code, _, err = bedside(*asked, "--trust", keys[1])
    assert code == 1
    assert "unsigned" in err
    assert not out.exists()
    assert bedside(*asked, "--key", keys[0])[0] == 0, "without --trust it is taken"


def test_the_change_record_names_what_changed_and_tests_it(cells, file, keys, tmp_path):
    previous = open_bundle(file, {signing.read_public(keys[1])})
    _, made = deploy.make(cells, "cpu", "resnet34-float32", key=keys[0], against=previous,
                          below_floor=True)
    record = json.loads(bytes(made.files["change.json"]))
    assert record["previous"] == previous.id
    assert {"name", "model", "model file"} <= set(record["changed"])
    test = record["comparison"]
    before = stored.predictions(cells, VARIANT, "cpu").of("test")
    after = stored.predictions(cells, "resnet34-float32", "cpu").of("test")
    right = [(p.logits[:, 1] >= p.logits[:, 0]) == p.labels for p in (before, after)]
    assert test["images"] == len(before.ids)
    assert test["lost"] == (right[0] & ~right[1]).sum()
    assert test["gained"] == (~right[0] & right[1]).sum()
    assert test["right_after"] == right[1].sum()
    assert test["answer"] in ("not shown", None)
    assert test["sensitivity_difference"] == pytest.approx(
        right[1][before.labels == 1].mean() - right[0][before.labels == 1].mean())
    # No image differs: then McNemar's test does not exist, and says so.
    assert (test["p_value"] is None) == (test["lost"] + test["gained"] == 0)
    with pytest.raises(BadInput, match="predictions are not in the run"):
        deploy.make(cells, "cpu", VARIANT, key=keys[0], against=previous, below_floor=True,
                    against_run=_without(cells, tmp_path))


def _without(cells, tmp_path):
    run = tmp_path / "other"
    shutil.copytree(cells, run)
    shutil.rmtree(run / "measurements")
    return run
