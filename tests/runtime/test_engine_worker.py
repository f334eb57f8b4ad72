"""Frames of the engine's process, served in this one."""

from __future__ import annotations

import io
import json

import numpy as np
from device_fixture import png

from bedside.core import codec
from bedside.core.types import Preprocess
from bedside.runfolder import layout, stored
from bedside.runtime import engine_worker
from bedside.runtime.litert import LOGITS, LiteRTModel
from bedside.runtime.preprocess import to_tensor


def _frame(request, data=b""):
    text = json.dumps(request).encode()
    return engine_worker.HEAD.pack(len(text), len(data)) + text + data


def _replies(stream):
    replies = []
    while head := stream.read(engine_worker.HEAD.size):
        size, blob = engine_worker.HEAD.unpack(head)
        replies.append((json.loads(stream.read(size)), stream.read(blob)))
    return replies


def _serve(*frames):
    out = io.BytesIO()
    engine_worker.serve(io.BytesIO(b"".join(frames)), out)
    out.seek(0)
    return _replies(out)


def test_requests_are_answered_in_order_and_faults_are_replies(tiny_run):
    path = layout.model_dir(tiny_run, "resnet34") / layout.FLOAT_MODEL
    spec = stored.model_spec(tiny_run, "resnet34").preprocess
    image = png()
    opened = {"op": "open", "backend": "cpu", "threads": 1, "cam": True, "classes": 2,
              "files": [["model.tflite", path.stat().st_size]],
              "preprocess": codec.encode(spec)}
    first, answer, bad, resized = _serve(
        _frame(opened, path.read_bytes()), _frame({"op": "image", "name": "a"}, image),
        _frame({"op": "image", "name": "b"}, b"no image"),
        _frame({"op": "image", "name": "c", "resize": True}, image))
    assert first[0] == {"cam": True}
    wanted = LiteRTModel(path, 1).run(to_tensor(image, spec, "a"))[LOGITS][0]
    np.testing.assert_allclose(answer[0]["logits"], wanted, rtol=1e-5)
    assert answer[0]["size"] == [40, 50]
    assert bad[0]["fault"] and bad[0]["code"] == 2
    assert len(resized[1]) == spec.height_px * spec.width_px * spec.channels


def test_a_model_that_does_not_fit_its_description_is_a_fault(tiny_run):
    path = layout.model_dir(tiny_run, "resnet34") / layout.FLOAT_MODEL
    [(reply, _)] = _serve(_frame({
        "op": "open", "backend": "cpu", "threads": 1, "cam": True, "classes": 5,
        "files": [["model.tflite", path.stat().st_size]],
        "preprocess": codec.encode(Preprocess())}, path.read_bytes()))
    assert "does not fit its description" in reply["fault"]
