"""The table of formats: files go to the reader of their suffix."""

from __future__ import annotations

import pytest
from foreign_models import network

from bedside import foreign
from bedside.core.errors import BadInput, MissingComponent
from bedside.foreign import tflite_reader


def test_a_tflite_file_is_its_bytes(tmp_path):
    file = tmp_path / "NET.TFLITE"
    file.write_bytes(network())
    assert foreign.is_model(file)
    assert foreign.read(file) == tflite_reader.to_tflite(file) == network()


def test_a_missing_file_and_an_unknown_suffix(tmp_path):
    with pytest.raises(BadInput, match="no such file"):
        foreign.read(tmp_path / "none.tflite")
    (tmp_path / "net.h5").write_bytes(b"x")
    with pytest.raises(BadInput, match=r"\.h5 is not a format of models"):
        foreign.read(tmp_path / "net.h5")
    assert not foreign.is_model(tmp_path / "net.h5")


def test_a_reader_that_is_not_there_is_a_missing_component(tmp_path, monkeypatch):
    monkeypatch.setitem(foreign.FORMATS, ".xyz", "bedside.foreign.no_such_reader")
    (tmp_path / "net.xyz").write_bytes(b"x")
    with pytest.raises(MissingComponent, match=r"\.xyz"):
        foreign.read(tmp_path / "net.xyz")


def test_another_format_enters_through_its_reader(tmp_path, monkeypatch):
    import sys
    import types

    from bedside.core.contract import Declared
    from bedside.foreign.normalise import normalise
    from bedside.foreign.understand import understand

    reader = types.ModuleType("reader_of_xyz")
    reader.to_tflite = lambda path: network()
    monkeypatch.setitem(sys.modules, "reader_of_xyz", reader)
    monkeypatch.setitem(foreign.FORMATS, ".xyz", "reader_of_xyz")
    file = tmp_path / "net.xyz"
    file.write_bytes(b"anything")
    done = normalise(understand(file, Declared(("a", "b"), (0.0, 1.0), resize="fit")))
    assert done.contract.source == "net.xyz"
