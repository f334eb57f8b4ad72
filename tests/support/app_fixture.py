"""Real bundles of tiny models, a server for the app, and Chromium, for tests of the app."""

from __future__ import annotations

import contextlib
import io
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGS = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync"]
# WebGPU without a graphics chip: Chromium's own SwiftShader.
GPU_ARGS = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader",
            "--enable-features=Vulkan", "--use-vulkan=swiftshader"]


def make_bundle(run: Path, variant: str, key: Path | None = None, classes=None,
                name: str | None = None, shift: float = 0.0, threshold: float = 0.5) -> bytes:
    """A bundle of a variant of ``run``, with two reference vectors through this machine's CPU.

    ``shift`` falsifies their logits; ``name`` is shown as the variant's.
    """
    from bedside.core import codec
    from bedside.core.build import Variant
    from bedside.runfolder import layout
    from bedside.runtime.bundle import manifest as m
    from bedside.runtime.bundle import writer
    from bedside.runtime.litert import LOGITS, LiteRTModel
    from bedside.runtime.preprocess import decode, normalise, resize

    folder = layout.variant_dir(run, variant)
    found = codec.read_json(Variant, folder / layout.VARIANT)
    model = LiteRTModel(folder / found.file)
    rng = np.random.default_rng(5)
    vectors, files = [], {}
    for i in (1, 2):
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 255, (50, 61), dtype=np.uint8)).save(buffer, "PNG")
        pixels = resize(decode(buffer.getvalue(), found.preprocess.channels), found.preprocess)
        logits = model.run(normalise(pixels, found.preprocess)[None])[LOGITS][0]
        vectors.append(m.ReferenceVector(f"reference/{i}.png", f"reference/{i}.bin",
                                         tuple(float(v) + shift for v in logits)))
        files[f"reference/{i}.png"] = ("reference-image", buffer.getvalue())
        files[f"reference/{i}.bin"] = ("reference-pixels", pixels.tobytes())
    task = found.task
    if classes is not None:
        task = replace(task, classes=tuple(classes), positive=classes[-1])
    files |= {
        "model/model.tflite": ("model", (folder / found.file).read_bytes()),
        "reference.json": ("reference", codec.to_json(
            m.Reference(tuple(vectors), 0.02, "made up for a test")).encode()),
        "evidence.json": ("evidence", b"{}\n"), "model-card.md": ("model-card", b"# Card\n"),
        "licence.txt": ("licence", b"none\n"),
        "change.json": ("change", codec.to_json(m.Change(reason="first")).encode()),
    }
    manifest = m.Manifest(
        m.SCHEMA, m.KIND, f"{name or variant}@cpu", "0", m.NOTICE,
        m.BundleModel(name or variant, found.model, found.scheme, "cpu", "cpu", "tflite",
                      "model/model.tflite", 2, "cam" in model.outputs), task, found.preprocess,
        m.OperatingPoint(threshold, 1.3, True, "chosen for a test"), {})
    return writer.pack(manifest, files, key)


@contextlib.contextmanager
def serving(app, **options) -> Iterator[str]:
    """An ASGI app on a free port of this machine, in a thread."""
    import uvicorn

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", port, log_level="error", **options))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield f"{'https' if options.get('ssl_keyfile') else 'http'}://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)
