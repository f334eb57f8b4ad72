"""Every format of the table, without being told."""

from __future__ import annotations

import json

import pytest

from bedside.cli.app import command
from bedside.core import registry
from bedside.exports import FORMATS
from bedside.flows.export import export
from bedside.runfolder import layout


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_says_what_it_is_and_writes_what_its_contract_names(tiny_quantized, tmp_path,
                                                                    name):
    module = registry.resolve(FORMATS[name])
    assert module.SUMMARY
    option = next(p for p in command("export").params if p.name == "format_")
    assert name in option.help
    contract = export(layout.variant_dir(tiny_quantized, "resnet34-float32"), name,
                      tmp_path / "out")
    assert contract["main"] in contract["files"]
    assert set(contract["files"]) | {"contract.json"} == {
        p.relative_to(tmp_path / "out").as_posix()
        for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert json.loads((tmp_path / "out" / "contract.json").read_text()) == contract
