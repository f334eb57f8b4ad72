"""A contract beside its model is read; one of another file is refused."""

from __future__ import annotations

import pytest
from foreign_models import network

from bedside.core.contract import Declared
from bedside.core.errors import BadInput
from bedside.flows.inspect_model import import_model
from bedside.foreign import beside
from bedside.foreign.normalise import normalise
from bedside.foreign.understand import understand
from bedside.runfolder import layout


@pytest.fixture
def imported(tmp_path):
    file = tmp_path / "net.tflite"
    file.write_bytes(network(scale=255.0))
    declared = Declared(("dark", "bright"), (0.0, 255.0), resize="crop", filter="area")
    import_model(file, tmp_path / "out", declared)
    return tmp_path / "out"


def test_an_imported_model_needs_no_second_declaration(imported):
    for path in (imported, imported / "net.tflite"):
        found = understand(path, Declared())
        assert found.told.classes == ("dark", "bright")
        assert found.told.preprocess.resize == "area-crop"
        # The new file takes [0, 1]: the old range is not applied a second time.
        assert found.told.input_range == (0.0, 1.0)
        assert set(found.told.origin.values()) == {"contract.toml", "one channel"}
        again = normalise(found)
        assert again.contract.preprocess == found.told.preprocess
        assert again.parity.largest_difference == 0


def test_another_order_may_still_be_declared(imported):
    told = understand(imported, Declared(("bright", "dark"))).told
    assert told.classes == ("bright", "dark") and told.origin["classes"] == "declared"
    assert told.origin["resize"] == "contract.toml"


def test_a_contract_of_another_file_is_refused(imported):
    (imported / "net.tflite").write_bytes(network())
    with pytest.raises(BadInput, match=r"contract\.toml: describes another file"):
        understand(imported, Declared(("dark", "bright"), (0.0, 1.0), resize="fit"))


def test_a_model_of_a_run_brings_its_task_and_preprocessing(tiny_run):
    folder = layout.model_dir(tiny_run, "resnet34")
    known = beside.contract_of(folder / layout.FLOAT_MODEL)
    assert known is not None and known.classes == ("benign", "malignant")
    told = understand(folder / layout.FLOAT_MODEL, Declared()).told
    assert told.preprocess.normalise == "max" and told.origin["classes"] == "model.json"


def test_nothing_beside_is_nothing(tmp_path):
    (tmp_path / "net.tflite").write_bytes(network())
    assert beside.contract_of(tmp_path / "net.tflite") is None
    assert beside.model_in(tmp_path) == tmp_path
