"""Sessions of ONNX Runtime on this machine's CPU."""

from __future__ import annotations

import numpy as np
import pytest

from bedside.core.errors import BadInput
from bedside.runfolder import layout
from bedside.targets import ort
from bedside.targets.tflite_onnx import write_onnx


@pytest.fixture(scope="module")
def file(tiny_run, tmp_path_factory):
    path = tmp_path_factory.mktemp("ort") / "model.onnx"
    write_onnx(layout.model_dir(tiny_run, "resnet34") / layout.FLOAT_MODEL, path)
    return path


def test_a_session_gives_outputs_by_name_and_names_its_nodes(tiny_run, file):
    session = ort.cpu_session(file, 1)
    (image,) = session.get_inputs()
    answer = ort.outputs(session, {image.name: np.zeros(image.shape, np.float32)})
    assert answer["logits"].shape == (1, 2)
    kinds = {kind for kind, _ in ort.optimized_nodes(file, 1)}
    assert any("Conv" in k for k in kinds)


def test_a_damaged_file_is_bad_input(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"nothing")
    with pytest.raises(BadInput, match="cannot load the model"):
        ort.cpu_session(tmp_path / "bad.onnx", 1)
