"""Worker that decodes images and runs a build: ``python -m bedside.runtime.engine_worker``.

What comes from outside (an image, a model) is parsed here and nowhere else, so a crash or a
takeover ends here. Frames on standard input and output: two little-endian u32 (bytes of JSON,
bytes of data), the JSON, the data. One thread reads and decodes the next image while the other
runs the model on the one before; answers keep the order.
"""

from __future__ import annotations

import json
import os
import queue
import struct
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from bedside.core import codec, registry
from bedside.core.errors import BedsideError, MissingComponent
from bedside.core.types import Preprocess
from bedside.runtime import features, preprocess
from bedside.runtime.limits import limit_memory
from bedside.runtime.litert import CAM, LOGITS, LiteRTModel

HEAD = struct.Struct("<II")
Pixels = preprocess.Pixels
Reply = tuple[dict[str, Any], bytes]
# The second half of a request: the part that needs the model.
Rest = Callable[[], Reply]


class Session:
    """A loaded build and its preprocessing.

    Each request is a method that does the first half, what needs no model, and returns the rest.
    """

    def __init__(self) -> None:
        self._runner: Any = None
        self._spec = Preprocess()
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def open(self, request: dict[str, Any], data: bytes) -> Rest:
        """Load the files that follow one another in ``data``."""
        return lambda: self._open(request, data)

    def _open(self, request: dict[str, Any], data: bytes) -> Reply:
        self._spec = codec.decode(Preprocess, request["preprocess"])
        if request["backend"] == "cpu":
            name, _ = request["files"][0]
            model = LiteRTModel(Path(name), request["threads"], content=data)
            shape = (self._spec.height_px, self._spec.width_px, self._spec.channels)
            if model.input.shape[1:] != shape or model.classes != request["classes"]:
                raise BedsideError("the model does not fit its description")
            self._runner = model
            return {"cam": CAM in model.outputs}, b""
        # Other engines read files; these were verified, and the folder is this process's own.
        self._folder = tempfile.TemporaryDirectory(prefix="bedside-")
        at = 0
        for name, size in request["files"]:
            path = Path(self._folder.name) / Path(name).name
            path.write_bytes(data[at:at + size])
            at += size
        table: dict[str, str] = registry.resolve("bedside.targets:BACKENDS")
        module = registry.lookup(table, request["backend"], "backend")
        state = module.available()
        if not state.works:
            raise MissingComponent(f"a build for {request['backend']}: {state.detail}",
                                   remedy=state.remedy)
        first = Path(self._folder.name) / Path(request["files"][0][0]).name
        self._runner = registry.resolve(module.RUNNER)(first, request["threads"])
        return {"cam": request["cam"]}, b""

    def image(self, request: dict[str, Any], data: bytes) -> Rest:
        """Decode, resize and answer the bytes of an image; with ``resize`` only resize it."""
        pixels = preprocess.decode(data, self._spec.channels, request["name"])
        resized = preprocess.resize(pixels, self._spec)
        if request.get("resize"):
            return lambda: ({"dtype": resized.dtype.name}, resized.tobytes())
        return self._ready(resized, request["name"], pixels.shape[:2])

    def pixels(self, request: dict[str, Any], data: bytes) -> Rest:
        """Answer pixels that were decoded elsewhere (DICOM)."""
        array = _array(request, data)
        return self._ready(preprocess.resize(array, self._spec), request["name"], array.shape[:2])

    def resized(self, request: dict[str, Any], data: bytes) -> Rest:
        """Answer pixels of the network's own size (reference vectors)."""
        shape = (self._spec.height_px, self._spec.width_px, self._spec.channels)
        array = _array({**request, "shape": shape}, data)
        return self._ready(array, request["name"], array.shape[:2])

    def _ready(self, resized: Pixels, name: str, size: tuple[int, ...]) -> Rest:
        tensor = preprocess.normalise(resized, self._spec, name)[None]
        quality, found = features.of_image(resized)
        facts = {"quality": quality, "size": [int(v) for v in size]}
        return lambda: self._run(tensor, name, facts, found)

    def _run(self, tensor: npt.NDArray[np.float32], name: str, facts: dict[str, Any],
             of_image: list[float]) -> Reply:
        outputs = self._runner.run(tensor)
        logits = outputs[LOGITS][0]
        if not np.isfinite(logits).all():
            raise BedsideError("the model's logits are not finite", where=name)
        cam: npt.NDArray[np.float32] | None = outputs.get(CAM)
        names = features.names(logits.size, cam is not None)
        values = (*features.of_outputs(outputs), *of_image)
        reply = {"logits": [float(v) for v in logits],
                 "features": dict(zip(names, values, strict=True)),
                 "cam": list(cam.shape[1:]) if cam is not None else None, **facts}
        return reply, cam[0].astype("<f4").tobytes() if cam is not None else b""


def _array(request: dict[str, Any], data: bytes) -> Pixels:
    if request["dtype"] == "uint16":
        return np.frombuffer(data, "<u2").astype(np.uint16).reshape(request["shape"])
    return np.frombuffer(data, np.uint8).reshape(request["shape"])


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) != count:
        raise EOFError
    return data


def serve(stream: BinaryIO, out: BinaryIO) -> None:
    """Answer requests until the stream ends."""
    ready: queue.Queue[Rest | None] = queue.Queue(1)
    threading.Thread(target=_read, args=(stream, ready), daemon=True).start()
    while (rest := ready.get()) is not None:
        reply, blob = _answer(rest)
        text = json.dumps(reply).encode()
        out.write(HEAD.pack(len(text), len(blob)) + text + blob)
        out.flush()


def _read(stream: BinaryIO, ready: queue.Queue[Rest | None]) -> None:
    """Read requests and do what needs no model, at most one image ahead."""
    session = Session()
    known = {"open": session.open, "image": session.image, "pixels": session.pixels,
             "resized": session.resized}
    while True:
        try:
            head, size = HEAD.unpack(_exactly(stream, HEAD.size))
            request = json.loads(_exactly(stream, head))
            data = _exactly(stream, size)
        except EOFError:
            ready.put(None)
            return
        try:
            rest = known[request["op"]](request, data)
        except Exception as error:
            rest = _raises(error)
        del data
        ready.put(rest)


def _raises(error: Exception) -> Rest:
    def rest() -> Reply:
        raise error
    return rest


def _answer(rest: Rest) -> Reply:
    try:
        return rest()
    except BedsideError as error:
        return {"fault": error.fault, "remedy": error.remedy, "code": error.exit_code}, b""
    except MemoryError:
        return {"fault": "not enough memory", "remedy": "Shrink the image.", "code": 2}, b""


def main() -> None:
    """Serve on the standard streams within the memory limit; what native code
    prints goes nowhere.
    """
    limit_memory()
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, out)


if __name__ == "__main__":
    main()
