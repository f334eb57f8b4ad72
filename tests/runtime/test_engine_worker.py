"""Frames of the engine's process, served in this one."""

from __future__ import annotations

import io
import json
import threading

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


class _Answers(io.BytesIO):
    def __init__(self):
        super().__init__()
        self.any = threading.Event()

    def write(self, data):
        written = super().write(data)
        self.any.set()
        return written


class _Requests(io.BytesIO):
    """Frames of which the second follows the first one's answer, as from the parent process."""

    def __init__(self, frames, answers):
        super().__init__(b"".join(frames))
        self._first, self._answers = len(frames[0]), answers

    def read(self, size=-1):
        if self.tell() >= self._first:
            assert self._answers.any.wait(60)
        return super().read(size)


def _serve(*frames):
    answers = _Answers()
    engine_worker.serve(_Requests(frames, answers), answers)
    answers.seek(0)
    return _replies(answers)


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
