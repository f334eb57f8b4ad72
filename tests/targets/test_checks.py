"""What every device compiler asks of a file, said plainly."""

from __future__ import annotations

import shutil

import pytest

from bedside import targets
from bedside.core.errors import Unsupported
from bedside.runfolder import layout
from bedside.targets import checks, subprocess_build


@pytest.fixture(scope="module")
def files(tiny_quantized):
    return {s: layout.variant_dir(tiny_quantized, f"resnet34-{s}") / "model.tflite"
            for s in ("float32", "int8", "dynamic")}


def test_several_signatures_and_open_shapes_are_said_plainly(files, tmp_path):
    import ai_edge_litert.schema_py_generated as schema
    import flatbuffers

    def write(change):
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(
            files["float32"].read_bytes()))
        change(model)
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        path = tmp_path / "changed.tflite"
        path.write_bytes(bytes(builder.Output()))
        return path

    def two(model):
        model.signatureDefs = model.signatureDefs * 2

    def open_shape(model):
        tensor = model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]]
        tensor.shapeSignature = [-1, *tensor.shape[1:]]

    for change, text in ((two, "2 signatures"), (open_shape, "is not fixed")):
        file = write(change)
        for name in ("sm8650-hexagon", "ethos-u55-128", "gpu"):
            outcome = subprocess_build.place(file, targets.load(name))
            assert outcome.status == "unsupported", (name, outcome)
            assert text in outcome.reason
        with pytest.raises(Unsupported, match=text):
            checks.check_file(file)
    shutil.rmtree(tmp_path)
