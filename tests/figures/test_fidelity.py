"""Fidelity of a small run, recomputed from its models."""

from __future__ import annotations

import numpy as np
import pytest
from analyse_fixture import figure_data
from scipy.stats import spearmanr

from bedside.runfolder import layout, stored
from bedside.runtime.litert import LiteRTModel


def test_fidelity_is_what_the_maps_say(flipped):
    f = figure_data(flipped, "fidelity").facts
    assert f["maps"]["float32"]["rank"]["value"] == pytest.approx(1.0)
    assert f["maps"]["float32"]["ssim"]["value"] == pytest.approx(1.0)
    models = {k: LiteRTModel(layout.variant_dir(flipped, f"tiny-{k}") / "model.tflite")
              for k in ("float32", "int8")}
    variant = next(v for v in stored.variants(flipped) if v.id == "tiny-int8")
    values = []
    with stored.pixel_store(flipped, variant.preprocess) as store:
        for case in stored.cases(flipped):
            if case.split == "test":
                out = {k: m.run(store.tensor(case.id)) for k, m in models.items()}
                k = int(out["float32"]["logits"].argmax())
                values.append(spearmanr(out["float32"]["cam"][0, :, :, k].ravel(),
                                        out["int8"]["cam"][0, :, :, k].ravel()).statistic)
    assert f["n"] == len(values) == 6
    assert f["maps"]["int8"]["rank"]["value"] == pytest.approx(np.mean(values), abs=1e-6)
    assert f["outlined"] == 5 and f["maps"]["int8"]["hit"]["n"] == 5
    worst = [w["ssim"] for w in f["worst"]]
    assert worst == sorted(worst) and len({w["id"] for w in f["worst"]}) == len(worst)


def test_sqnr_by_layer_falls_with_coarser_formats(flipped):
    sqnr = figure_data(flipped, "fidelity").facts["sqnr"]
    int8 = [v for v in sqnr["schemes"]["int8"] if v is not None]
    half = [v for v in sqnr["schemes"]["float16"] if v is not None]
    assert len(int8) >= 6 and 5 < min(int8) < 60
    assert min(half) > max(int8)
    own = {r["layer"]: r["sqnr_db"] for r in figure_data(flipped, "sensitivity").facts["layers"]}
    assert dict(zip(sqnr["layers"], sqnr["schemes"]["int8"], strict=True)) == pytest.approx(own)


def test_without_cam_fidelity_is_null_with_the_reason_and_keeps_the_noise(flipped):
    f = figure_data(flipped, "fidelity", "foreign").facts
    assert f["maps"] is None and "trained elsewhere" in f["maps_reason"]
    assert f["sqnr"]["layers"]
