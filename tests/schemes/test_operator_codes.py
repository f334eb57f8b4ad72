"""Files with operator codes in the deprecated field alone."""

from __future__ import annotations

import ai_edge_litert.schema_py_generated as schema
import flatbuffers
import pytest
from paths import SHARED

from bedside import schemes
from bedside.core.study import CalibrationConfig
from bedside.flows import variants
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.graph import parse_graph
from bedside.schemes.operator_codes import current_codes

MODEL = "resnet34"


def _legacy(model: bytes) -> bytes:
    """The file as a converter from before TensorFlow 2.4 wrote it."""
    tables = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model))
    for code in tables.operatorCodes:
        assert code.builtinCode < 127
        code.deprecatedBuiltinCode, code.builtinCode = code.builtinCode, 0
    builder = flatbuffers.Builder(len(model))
    builder.Finish(tables.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_a_current_file_stays_byte_for_byte(tiny_run):
    data = (layout.model_dir(tiny_run, MODEL) / layout.FLOAT_MODEL).read_bytes()
    assert current_codes(data) is data


def test_codes_move_to_the_current_field(tiny_run):
    data = (layout.model_dir(tiny_run, MODEL) / layout.FLOAT_MODEL).read_bytes()
    old = _legacy(data)
    root = schema.Model.GetRootAs(current_codes(old))
    assert max(root.OperatorCodes(i).BuiltinCode() for i in range(root.OperatorCodesLength())) > 0
    assert [o.op for o in parse_graph(current_codes(old)).operations] == [
        o.op for o in parse_graph(data).operations]


@pytest.mark.parametrize("scheme", ["float16", "dynamic", "int8", "int16x8", "weight_int8"])
def test_an_old_file_is_really_quantized(tiny_run, tmp_path, scheme):
    import shutil

    run = tmp_path / "run"
    shutil.copytree(tiny_run, run, ignore=shutil.ignore_patterns("variants", "builds", "measure*"))
    folder = layout.model_dir(run, MODEL)
    old = _legacy((folder / layout.FLOAT_MODEL).read_bytes())
    with artefact.writing(folder, "convert", "legacy") as scratch:
        for name in (layout.CONVERSION, layout.FLOAT_MODEL):
            shutil.copyfile(folder / name, scratch / name)
        (scratch / layout.FLOAT_MODEL).write_bytes(old)
    variants.make(run, MODEL, schemes.parse(scheme), CalibrationConfig(images=8))
    (made,) = stored.variants(run)
    assert (made.status, made.reason) == ("ok", None)
    assert made.size_bytes < 0.75 * len(old)


@pytest.mark.skipif(not (SHARED / "cases").is_dir(),
                    reason="the cases are not beside this checkout (shared/cases)")
def test_the_legacy_case_is_read_as_old():
    data = (SHARED / "cases" / "models" / "pneu_legacy.tflite").read_bytes()
    assert current_codes(data) != data
