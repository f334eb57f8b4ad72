"""A remedy names only what the command at hand can do."""

from __future__ import annotations

import pytest

from bedside.core.errors import BadInput
from bedside.core.types import Case
from bedside.runtime.preprocess import decode
from bedside.stages.bundle.build import cell
from bedside.stages.data import scan


def test_only_the_scan_of_a_data_set_can_set_an_image_aside(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"no image")
    with pytest.raises(BadInput) as caught:
        decode(path)
    assert "--skip-bad" not in caught.value.message
    found = scan.scan_image(tmp_path, Case("", "a.png", ""))
    assert isinstance(found, BadInput)
    assert "--skip-bad" in found.message


def test_a_run_without_variants_says_so(tmp_path):
    with pytest.raises(BadInput, match=r"no variant 'x-int8' in this run.*none yet") as caught:
        cell(tmp_path, "x-int8", "cpu")
    assert "There are: ." not in caught.value.message
