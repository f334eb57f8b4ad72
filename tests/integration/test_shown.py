"""Shown and worse end to end: a trained network's INT8 is proved, a damaged release stops the gate.

The reduced form of ``benchmarks/phantom_evidence.py``: real files, really quantized and run, 480
test images of discs instead of 2,000 synthetic ultrasound images.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from bedside.cli import app
from bedside.core import codec
from bedside.core.types import Preprocess
from bedside.runfolder import stored
from bedside.runtime.graph import read_graph

TEST = 480
STUDY = """
schemes = ["float32", "int8"]
[evaluate]
rounds = 2
warmup = 1
samples = 2
[evidence]
robustness_images = 0
miss_ratio_margin = 0  # 240 positives, none missed, exclude no doubling
"""


def discs(count, seed):
    """Bright and dark discs in noise, (count, 32, 32) uint8, and their labels."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:32, :32]
    labels = np.arange(count) % 2
    y, x = rng.uniform(0.3, 0.7, (2, count, 1, 1)) * 32
    disc = (rows - y) ** 2 + (columns - x) ** 2 < (32 / 5) ** 2
    change = np.where(labels, 110, -110)[:, None, None]
    planes = rng.normal(120, 25, (count, 32, 32)) + disc * change
    return np.clip(planes, 0, 255).astype(np.uint8), labels


def trained(path):
    """A small network after 120 steps, as a float ``.tflite``."""
    import torch
    from torch import nn

    from bedside.stages.convert import _export

    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(1, 8, 5, 2, 2)
            self.conv2 = nn.Conv2d(8, 16, 3, 2, 1)
            self.classifier = nn.Conv2d(16, 2, 1)

        def forward(self, image):
            x = torch.relu(self.conv2(torch.relu(self.conv1(image.permute(0, 3, 1, 2)))))
            maps = self.classifier(x)
            logits = nn.functional.avg_pool2d(maps, (maps.shape[2], maps.shape[3])).flatten(1)
            return {"logits": logits, "cam": maps.permute(0, 2, 3, 1)}

    Small.__qualname__ = "Small"
    torch.manual_seed(0)
    torch.set_num_threads(1)
    images, labels = discs(600, 7)
    x = torch.from_numpy(images / images.max((1, 2), keepdims=True)).float()[..., None]
    y, module = torch.from_numpy(labels), Small()
    optimizer = torch.optim.Adam(module.parameters(), 5e-3)
    for step in range(120):
        rows = torch.arange(step * 50, step * 50 + 50) % 600
        loss = nn.functional.cross_entropy(module(x[rows])["logits"], y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    _export(module.eval(), Preprocess(32, 32, 1), path)
    return path


def damaged(source, path):
    """The same file with the signs of its classifier's weights turned round."""
    data, graph = bytearray(source.read_bytes()), read_graph(source)
    found = [w for t in graph.tensors if (w := graph.constant(t)) is not None
             and w.dtype == np.float32 and w.ndim == 4 and w.shape[0] == 2]
    (weights,) = found
    at = data.find(weights.tobytes())
    data[at:at + weights.nbytes] = (-weights).tobytes()
    path.write_bytes(bytes(data))
    return path


def command(capsys, *arguments):
    """Exit code and the document on standard output."""
    with pytest.raises(SystemExit) as caught:
        app.main([str(a) for a in arguments])
    out = capsys.readouterr().out
    return caught.value.code or 0, json.loads(out) if "--json" in arguments else {}


def test_a_sound_int8_is_shown_and_a_mirrored_network_is_stopped(tmp_path, capsys):
    network = trained(tmp_path / "net.tflite")
    (tmp_path / "study.toml").write_text(STUDY)
    (tmp_path / "preprocess.toml").write_text("height_px = 32\nwidth_px = 32\nchannels = 1\n")
    data, parts = tmp_path / "discs.npz", {}
    for seed, (part, count) in enumerate((("train", 60), ("val", 120), ("test", TEST))):
        parts[f"{part}_images"], labels = discs(count, seed)
        parts[f"{part}_labels"] = labels[:, None]
    np.savez(data, **parts)
    good, bad = tmp_path / "good", tmp_path / "bad"
    turned = damaged(network, tmp_path / "net2.tflite")
    for run, file, wanted in ((good, network, 0), (bad, turned, 1)):
        code, _ = command(capsys, "run", data, "-c", tmp_path / "study.toml", "--float-model",
                          file, "--preprocess", tmp_path / "preprocess.toml", "--class-names",
                          "benign,malignant", "--model-classes", "benign,malignant", "--out", run)
        assert code == wanted
    found = {c.variant: c for c in stored.comparisons(good) if c.split == "test"}
    (answer,) = found.values()
    assert (answer.answer, answer.n) == ("shown", TEST), codec.to_json(answer)
    code, gate = command(capsys, "gate", good, "--json")
    assert code == 0 and gate["passed"]
    code, said = command(capsys, "recommend", good, "--json")
    assert code == 0 and said["recommendations"][0]["test"]["verdict"] in (
        "confirmed", "reference")
    # Turned round, it is stopped at labelled validation images: no test image is predicted.
    assert not (bad / "measurements").exists()
    assert not (bad / "ledger.jsonl").exists()
