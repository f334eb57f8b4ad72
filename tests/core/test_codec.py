from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedside.core import codec
from bedside.core.build import Measurement
from bedside.core.errors import BadInput
from bedside.core.study import Study, TrainConfig
from bedside.core.types import Case, Estimate


def test_study_survives_toml_and_json(tmp_path):
    study = Study()
    (tmp_path / "s.toml").write_text(codec.to_toml(study))
    (tmp_path / "s.json").write_text(codec.to_json(study))
    assert codec.read_toml(Study, tmp_path / "s.toml") == study
    assert codec.read_json(Study, tmp_path / "s.json") == study


def test_unknown_key_names_the_near_one(tmp_path):
    file = tmp_path / "study.toml"
    file.write_text("[train]\nepoch = 3\n")
    with pytest.raises(BadInput) as caught:
        codec.read_toml(Study, file)
    message = caught.value.message
    assert str(file) in message
    assert "'epoch'" in message
    assert "Did you mean 'epochs'?" in message
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("text", "fault"), [
    ("[train]\nepochs = '3'\n", "whole number"),
    ("[train]\nepochs = true\n", "whole number"),
    ("[train]\nlearning_rate = nan\n", "finite"),
    ("[train]\nlearning_rate = inf\n", "finite"),
    ("[train]\noptimizer = 'adam'\n", "Did you mean 'adamw'?"),
    ("schemes = 'int8'\n", "a list"),
    ("[data]\nproportions = [1, 2]\n", "3 values"),
    ("[data]\nmerge = 3\n", "a table"),
    ("seed = 1\nseed = 2\n", "not valid TOML"),
    ("train = 1\n", "a table"),
])
def test_wrong_values_are_refused(tmp_path, text, fault):
    file = tmp_path / "study.toml"
    file.write_text(text)
    with pytest.raises(BadInput, match=r"study\.toml") as caught:
        codec.read_toml(Study, file)
    assert fault in caught.value.message


@pytest.mark.parametrize("text", [
    '{"value": NaN}', '{"value": Infinity}', '{"value": 1, "value": 2}', '{"value": 1',
    "[" * 100_000])
def test_json_that_is_not_strict_is_refused(tmp_path, text):
    file = tmp_path / "e.json"
    file.write_text(text)
    with pytest.raises(BadInput, match=r"e\.json"):
        codec.read_json(Estimate, file)


@pytest.mark.parametrize("text", ["seed = " + "1" * 5000, "a = " + "[" * 5000,
                                  "[train]\nlearning_rate = 1" + "0" * 400])
def test_numbers_and_nesting_beyond_every_limit_are_refused(tmp_path, text):
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(BadInput, match=r"s\.toml"):
        codec.read_toml(Study, tmp_path / "s.toml")


def test_missing_key_and_missing_file(tmp_path):
    with pytest.raises(BadInput, match="'label' is missing"):
        codec.decode(Case, {"id": "a", "file": "b"})
    with pytest.raises(BadInput, match="no such file"):
        codec.read_json(Case, tmp_path / "none.json")
    (tmp_path / "latin.json").write_bytes(b'{"id": "\xe9"}')
    with pytest.raises(BadInput, match="UTF-8"):
        codec.read_json(Case, tmp_path / "latin.json")


def test_a_nan_is_never_written():
    with pytest.raises(ValueError, match="nan"):
        codec.to_json(Estimate(math.nan))


def test_int_is_taken_where_a_float_stands():
    assert codec.decode(TrainConfig, {"learning_rate": 1}).learning_rate == 1.0


_finite = st.floats(allow_nan=False, allow_infinity=False)
_estimates = st.builds(Estimate, st.none() | _finite, st.none() | _finite, st.none() | _finite,
                       st.integers(0, 10**9), st.none() | st.text())


@given(st.builds(Measurement, *[st.text(max_size=8)] * 4, st.sampled_from(["ok", "failed"]),
                 metrics=st.dictionaries(st.text(max_size=5), st.dictionaries(
                     st.text(max_size=5), _estimates, max_size=2), max_size=2)))
def test_measurements_round_trip(measurement):
    again = codec.decode(Measurement, codec.parse_json(codec.to_json(measurement), "x"))
    assert again == measurement


@given(st.builds(Case, st.text(), st.text(), st.text(), flags=st.lists(st.text()).map(tuple)))
def test_cases_round_trip_as_json(case):
    assert codec.decode(Case, codec.parse_json(codec.to_json(case), "x")) == case


@given(st.recursive(st.none() | st.booleans() | st.integers() | _finite | st.text(),
                    lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(st.text(max_size=4), inner, max_size=3), max_leaves=8))
def test_garbage_gives_a_study_or_bad_input(data):
    try:
        study = codec.decode(Study, data)
    except BadInput:
        return
    assert dataclasses.is_dataclass(study)
