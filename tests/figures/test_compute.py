"""The numbers behind the figures, against oracles that share no code with them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from analyse_fixture import analysed_run
from hypothesis import given
from hypothesis import strategies as st

from bedside.core.errors import BadInput
from bedside.figures import cam, first_conv, history, inputs, latency, mapping, network, operations
from bedside.figures import feature_maps as maps
from bedside.figures import point_clouds as clouds
from bedside.figures.base import FigureData, NotAvailable
from bedside.runfolder import layout
from bedside.runtime.graph import read_graph


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return analysed_run(tmp_path_factory)


def facts(run: Path, figure: str, model: str = "tiny") -> dict:
    return FigureData.load(layout.analysis_dir(run, figure, model)).facts


# ------------------------------------------------------------------ the paper's formulas


def test_golden_case_of_the_papers_figure_3() -> None:
    scale, zero = mapping.asymmetric(-0.5, 1.5)
    assert scale == pytest.approx(2 / 255, rel=1e-12)
    assert zero == -64


reals = st.floats(-1e4, 1e4, allow_nan=False, width=32)


@given(reals, reals)
def test_asymmetric_holds_zero_exactly_and_errs_half_a_step(a: float, b: float) -> None:
    low, high = min(a, b, 0.0), max(a, b, 0.0)
    if high - low < 1e-6:
        return
    scale, zero = mapping.asymmetric(min(a, b), max(a, b))
    assert -128 <= zero <= 127
    assert mapping.quantize(np.zeros(1), scale, zero)[0] == zero
    values = np.linspace(low, high, 41)
    again = mapping.dequantize(mapping.quantize(values, scale, zero), scale, zero)
    # At the ends the rounded zero point may cost half a step more.
    assert np.abs(again - values).max() <= scale * 1.0001


@given(st.lists(reals, min_size=1, max_size=30))
def test_symmetric_weights_stay_in_127_and_keep_their_sign(values: list[float]) -> None:
    weights = np.asarray(values)
    if np.abs(weights).max() < 1e-6:
        return
    scale = mapping.symmetric(float(np.abs(weights).max()))
    codes = mapping.quantize(weights, scale, 0, -127, 127)
    assert np.abs(codes).max() == 127
    assert np.abs(weights - scale * codes).max() <= scale / 2 * (1 + 1e-9)
    assert np.array_equal(mapping.quantize(-weights, scale, 0, -127, 127), -codes)


def test_empty_ranges_are_refused() -> None:
    with pytest.raises(ValueError):
        mapping.asymmetric(0.0, 0.0)
    with pytest.raises(ValueError):
        mapping.symmetric(0.0)


def test_files_follow_the_formulas(run: Path) -> None:
    found = facts(run, "mapping")
    weights, activations = found["weights"], found["activations"]
    assert weights["per_channel"] and weights["zero_point"] == 0
    assert weights["scale_relative_error"] < 1e-5
    assert weights["codes_differing_from_formula"] == 0
    assert weights["codes_low"] >= -127 and weights["codes_high"] <= 127
    assert activations["scale"] == pytest.approx(activations["scale_by_formula"], rel=1e-4)
    assert activations["zero_point"] == activations["zero_point_by_formula"]
    assert activations["largest_rounding_error"] <= activations["scale"] * 0.5001


# ------------------------------------------------------------------ first convolution


@pytest.mark.parametrize(("stride", "same"), [(1, True), (2, True), (1, False), (2, False)])
def test_window_is_found_where_scipy_puts_it(stride: int, same: bool) -> None:
    signal = pytest.importorskip("scipy.signal")
    rng = np.random.default_rng(0)
    image = rng.normal(size=(13, 14)).astype(np.float32)
    weights = rng.normal(size=(3, 3, 3)).astype(np.float32)
    bias = rng.normal(size=3).astype(np.float32)
    total = [max((-(-s // stride) - 1) * stride + 3 - s, 0) for s in image.shape]
    padded = np.pad(image, [(t // 2, t - t // 2) for t in total]) if same else image
    out = np.stack([signal.correlate2d(padded, w, "valid")[::stride, ::stride] + b
                    for w, b in zip(weights, bias, strict=True)], axis=-1)
    window, patch = first_conv.find_window(image[..., None], np.maximum(out, 0),
                                           weights[..., None], bias, (2, 3))
    assert window.stride == (stride, stride)
    assert np.array_equal(patch[..., 0], padded[2 * stride:2 * stride + 3,
                                                3 * stride:3 * stride + 3])


def test_window_that_does_not_explain_the_output_is_refused() -> None:
    image, weights = np.ones((8, 8, 1), np.float32), np.ones((1, 3, 3, 1), np.float32)
    with pytest.raises(NotAvailable):
        first_conv.find_window(image, np.full((8, 8, 1), 5.5, np.float32), weights,
                               np.zeros(1, np.float32), (4, 4))


def test_worked_numbers_are_the_image_and_the_file(run: Path) -> None:
    data = FigureData.load(layout.analysis_dir(run, "first_conv", "tiny"))
    found = data.facts
    image = data.arrays["image"].astype(np.float64)
    top, left = found["patch_top_px"], found["patch_left_px"]
    window = image[top:top + 5, left:left + 5] / image.max()
    total = float((window * data.arrays["filters"][0, :, :, 0]).sum())
    assert total == pytest.approx(found["sum_of_products"], abs=0.01)
    assert max(found["sum_of_products"] + found["bias"], 0) == pytest.approx(
        found["output"], abs=1e-5)
    assert data.arrays["filters"].shape == (6, 5, 5, 1)


def test_cut_is_zero_outside_and_shrink_keeps_the_mean() -> None:
    image = np.arange(12.0).reshape(3, 4, 1) + 1
    window = first_conv.cut(image, -1, 3, 3, 3)[..., 0]
    assert window.tolist() == [[0, 0, 0], [4, 0, 0], [8, 0, 0]]
    small = first_conv.shrink(np.arange(64.0).reshape(1, 8, 8), 4)
    assert small.shape == (1, 4, 4)
    assert small[0, 0, 0] == np.mean([0, 1, 8, 9])


# ------------------------------------------------------------------ network


def test_network_counts_by_hand(run: Path) -> None:
    found = facts(run, "network")
    area = 16 * 16
    macs = area * (8 * 25 + 2 * 8 * 8 * 9 + 8 * 8 + 8 * 8 * 9 + 12 * 16 * 9 + 2 * 12)
    assert found["macs"] == macs
    assert found["parameters"] == sum((8 * 25 + 8, 2 * (8 * 8 * 9 + 8), 8 * 8 + 8,
                                       8 * 8 * 9 + 8, 12 * 16 * 9 + 12, 2 * 12 + 2))
    assert [s["kind"] for s in found["stages"]] == [
        "conv", "residual", "inception", "conv", "head"]
    assert found["stages"][0]["shape"] == [16, 16, 8]
    assert [d["kind"] for d in found["details"]] == ["inception", "residual"]


def test_chain_is_cut_everywhere_and_a_shortcut_nowhere() -> None:
    def node(index: int, inputs_: tuple[int, ...], kind: str = "conv") -> network.Node:
        return network.Node(index, kind, inputs_, index, (1, 4, 4, 8), (3, 3), 1, 1)

    chain = network.blocks((node(1, (0,)), node(2, (1,)), node(3, (2,))))
    assert [len(b) for b in chain] == [1, 1, 1]
    short = network.blocks((node(1, (0,)), node(2, (1,)), node(3, (2,)), node(4, (3, 1), "add")))
    assert [len(b) for b in short] == [1, 3]
    assert network.kind_of(short[1]) == "residual"


# ------------------------------------------------------------------ comparisons


def test_sqnr_falls_20_db_for_ten_times_the_noise() -> None:
    rng = np.random.default_rng(0)
    signal, noise = rng.normal(size=500), rng.normal(size=500)
    near, far = inputs.sqnr_db(signal, signal + 0.01 * noise), inputs.sqnr_db(
        signal, signal + 0.1 * noise)
    assert near is not None and far is not None
    assert near - far == pytest.approx(20.0)
    assert inputs.sqnr_db(signal, signal) is None
    assert inputs.sqnr_db(np.zeros(3), np.ones(3)) is None


def test_half_precision_errs_less_than_int8_in_every_layer(run: Path) -> None:
    for layer in facts(run, "feature_maps")["layers"].values():
        half, integer = layer["schemes"]["float16"], layer["schemes"]["int8"]
        assert half["maps_sqnr_db"] > integer["maps_sqnr_db"] > 15
        assert half["filters_sqnr_db"] > integer["filters_sqnr_db"] > 30
        assert integer["filters_sqnr_db"] == layer["schemes"]["dynamic"]["filters_sqnr_db"]


def test_marked_channels_have_the_largest_differences(run: Path) -> None:
    first = facts(run, "feature_maps")["layers"]["first"]
    marked = {first["map_errors"][i] for i in first["marked_maps"]}
    assert marked == set(sorted(first["map_errors"], reverse=True)[:2])


def test_filter_tile_cuts_both_filters_alike() -> None:
    before = np.zeros((3, 3, 4), np.float32)
    before[1, 1, 2] = -7
    tile, other = maps.filter_tile(before, before + 1)
    assert tile[1, 1] == -7 and np.array_equal(other, tile + 1)
    point = np.arange(10, dtype=np.float32).reshape(1, 1, 10)
    assert maps.filter_tile(point, point)[0].tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


def test_weights_of_a_channel_take_at_most_255_values(run: Path) -> None:
    data = FigureData.load(layout.analysis_dir(run, "weights", "tiny"))
    rows = data.facts["schemes"]
    assert rows["int8"]["distinct_codes"] <= 255
    assert rows["int8"]["distinct"] <= rows["float32"]["distinct"]
    assert data.arrays["codes"][0] == 0 and data.arrays["codes"].sum() == rows["int8"]["values"]
    assert data.arrays["original"].sum() == data.arrays["quantized"].sum()
    assert rows["float32"]["sqnr_db"] is None and rows["float32"]["max_abs_difference"] == 0
    largest = max(np.abs([rows["float32"]["low"], rows["float32"]["high"]]))
    assert rows["int8"]["max_abs_difference"] <= largest / 127 / 2 * 1.001


def test_cloud_facts_by_hand() -> None:
    before = np.array([[0.0, 2.0], [1.0, 0.0], [3.0, 0.0]], np.float32)
    after = np.array([[0.0, 3.0], [0.0, 1.0], [3.0, 0.0]], np.float32)
    found = clouds.compare(before, after, np.array([1, 0, 1]))
    assert found["rmse"] == pytest.approx(np.sqrt(3 / 6))
    assert found["bias"] == pytest.approx(1 / 3)
    assert (found["flips"], found["right"], found["right_to_wrong"]) == (1, 1, 1)
    assert clouds.confidence(np.array([[1, 5, 3]], np.float32)).tolist() == [2.0]


def test_cloud_is_the_test_split_in_one_order(run: Path) -> None:
    data = FigureData.load(layout.analysis_dir(run, "point_clouds", "tiny"))
    assert data.facts["split"] == "test" and data.facts["n"] == 6
    base, half = data.arrays["logits:float32"], data.arrays["logits:float16"]
    assert np.abs(base - half).max() < 1e-3


def test_cam_agreement_of_equal_and_opposite_maps() -> None:
    plane = np.zeros((8, 8), np.float32)
    plane[:4] = 1
    assert cam.agreement(plane, plane) == {"correlation": pytest.approx(1), "iou": 1}
    assert cam.agreement(plane, 1 - plane) == {"correlation": pytest.approx(-1), "iou": 0}
    assert cam.agreement(plane, np.zeros_like(plane))["correlation"] is None


def test_cam_needs_the_output_and_says_so(run: Path) -> None:
    with pytest.raises(NotAvailable, match="'cam'"):
        cam.compute(run, "foreign")


def test_history_of_a_model_trained_elsewhere_is_not_available(run: Path) -> None:
    assert "trained elsewhere" in facts(run, "history", "foreign")["unavailable"]


@pytest.mark.parametrize(("auroc", "loss", "best"), [
    ([0.8, 1.0, 1.0, 0.9], [0.5, 0.4, 0.3, 0.1], 2),  # of equal AUCs the lower loss
    ([np.nan, np.nan, np.nan], [0.5, 0.2, 0.3], 1),  # no AUC: the loss decides
    ([0.7, 0.7], [0.3, 0.3], 0)])
def test_the_best_epoch_of_figure_6_is_the_one_that_training_kept(auroc, loss, best) -> None:
    assert history.best_row(np.array(auroc), np.array(loss)) == best


def test_history_reads_known_columns_and_names_the_bad_cell(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("epoch,train_loss,extra\n1,0.5,x\n2,,y\n")
    found = history.read_history(path)
    assert found["train_loss"][0] == 0.5 and np.isnan(found["train_loss"][1])
    assert np.isnan(found["val_auroc"]).all()
    path.write_text("epoch,train_loss\n1,half\n")
    with pytest.raises(BadInput, match="half"):
        history.read_history(path)


def test_ratio_interval_holds_the_true_ratio_and_no_width_without_noise() -> None:
    rounds = np.repeat(np.arange(5), 10)
    flat = np.full(50, 20.0)
    assert latency.ratio_interval((rounds, flat), (rounds, flat / 4)) == (0.25, 0.25)
    rng = np.random.default_rng(3)
    noisy = flat + rng.normal(size=50)
    low, high = latency.ratio_interval((rounds, noisy), (rounds, noisy[::-1] * 0.5))
    assert low < 0.5 < high and high - low < 0.1


def test_operations_name_the_formats_of_each_file(run: Path) -> None:
    rows = facts(run, "operations")["schemes"]
    assert [rows[k]["kind"] for k in ("float32", "float16", "dynamic", "int8")] == [
        "float", "float", "hybrid", "integer"]
    assert rows["float16"]["weights"]["dtype"] == "float16"
    assert rows["int8"]["bias"]["dtype"] == "int32" and rows["int8"]["quantize_before"]
    assert rows["int8"]["dequantize_at_end"] and not rows["dynamic"]["dequantize_at_end"]


def test_biases_cut_at_the_end_of_int32_are_counted(run: Path) -> None:
    limits = np.iinfo(np.int32)
    codes = np.array([limits.min, limits.min + 1, -5, 0, limits.max - 1, limits.max], np.int32)
    assert operations.saturated(codes) == 3
    rows = facts(run, "operations")["schemes"]
    assert rows["int8"]["integer_biases"] == 8 + 8 + 8 + 8 + 8 + 12 + 2
    assert rows["int8"]["saturated_biases"] == rows["float32"]["integer_biases"] == 0


def test_last_convolution_is_the_one_before_the_classifier(run: Path) -> None:
    graph = read_graph(layout.model_dir(run, "tiny") / layout.FLOAT_MODEL)
    layers = [graph.layer(o) for o in graph.convolutions()]
    assert layers[-2].endswith("last") and layers[-1].endswith("head")
    for name in (None, "no such layer", layers[-2]):
        assert inputs.last_conv(graph, name, 2) == len(layers) - 2
    assert inputs.last_conv(graph, layers[1], 2) == 1


# ------------------------------------------------------------------ what lies on disk


def test_figure_data_comes_back_as_it_was(tmp_path: Path) -> None:
    data = FigureData({"a": np.arange(3, dtype=np.int8)},
                      {"n": np.float32(0.5), "shape": (1, 2), "t": {"x": np.int64(3)}})
    data.save(tmp_path)
    again = FigureData.load(tmp_path)
    assert again.facts == {"n": 0.5, "shape": [1, 2], "t": {"x": 3}}
    assert again.arrays["a"].dtype == np.int8 and again.unavailable is None


def test_facts_that_are_not_finite_and_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        FigureData(facts={"x": float("nan")}).save(tmp_path)
    with pytest.raises(ValueError):
        FigureData({"a": np.array([{}], dtype=object)}).save(tmp_path)


def test_damaged_data_is_one_message(tmp_path: Path) -> None:
    FigureData({"a": np.zeros(2)}).save(tmp_path)
    (tmp_path / "data.npz").write_bytes(b"PK not a zip")
    with pytest.raises(BadInput, match=r"data\.npz"):
        FigureData.load(tmp_path)
    (tmp_path / "facts.json").write_text(json.dumps([1]))
    with pytest.raises(BadInput, match=r"facts\.json"):
        FigureData.load(tmp_path)
