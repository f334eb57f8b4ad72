"""Lookup tables are cut to their declared length."""

from __future__ import annotations

import pytest
from deid_fixture import cleaned, image

from bedside.deid import lut
from bedside.deid.outcome import Quarantine


def palette(data, vr="OW", bits=8):
    source = image(PhotometricInterpretation="PALETTE COLOR")
    for number in (1, 2, 3):
        source.add_new(0x00281100 + number, "US", [4, 0, bits])
        source.add_new(0x00281200 + number, vr, data)
    return source


@pytest.mark.parametrize(("bits", "data", "kept"), [
    (8, b"\1\2\3\4BLOGGS", b"\1\2\3\4"), (16, b"\1\2\3\4\5\6\7\x08BLOGGS", bytes(range(1, 9))),
    (8, b"\1\0\2\0\3\0\4\0BLOGGS", b"\1\0\2\0\3\0\4\0")])
def test_nothing_rides_behind_a_palette(bits, data, kept):
    assert cleaned(palette(data, bits=bits)).RedPaletteColorLookupTableData == kept


@pytest.mark.parametrize("source", [palette("BLOGGS OF HIGH STREET", "LT"), palette(b"\1\2")])
def test_a_palette_that_is_none_sets_the_image_aside(source):
    with pytest.raises(Quarantine, match="lookup table"):
        cleaned(source)


def test_a_segmented_palette_ends_with_its_last_segment():
    source = image()
    source.add_new(0x00281101, "US", [6, 0, 8])
    source.add_new(0x00281221, "OW", b"\0\2\x10\x20\1\4\x30" + b"BLOGGS!")
    kept = cleaned(source).SegmentedRedPaletteColorLookupTableData
    assert kept == b"\0\2\x10\x20\1\4\x30\0"


def test_a_table_without_a_descriptor_is_refused():
    source = palette(b"\1\2\3\4")
    assert lut.cut(source[0x00281201], source) == b"\1\2\3\4"
    del source[0x00281101]
    with pytest.raises(Quarantine, match="lookup table"):
        lut.cut(source[0x00281201], source)
