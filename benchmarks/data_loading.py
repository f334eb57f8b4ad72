"""What loading costs: images/s of the real training loop against the bare model step.

Both run in one process, step by step in turns, on EfficientNet-Lite0 at 224 with the default recipe
(augmentation on). The bare step repeats on one fixed batch already in memory; medians of the
steps are compared.

    python benchmarks/data_loading.py [--images 128] [--rounds 3] [--save data-loading]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from common import finish, positional

from bedside.core import codec, registry
from bedside.core.study import ModelConfig, TrainConfig
from bedside.models import MODELS, preprocess_of
from bedside.runfolder import artefact
from bedside.runtime.pixels import PixelStore
from bedside.stages.train.augment import Batches, ultrasound


def make_store(folder: Path, images: int, config: ModelConfig) -> PixelStore:
    preprocess = preprocess_of(config)
    ids = tuple(f"c{i:04d}" for i in range(images))
    rng = np.random.default_rng(0)
    with artefact.writing(folder, "cache", "benchmark") as scratch:
        shape = (preprocess.height_px, preprocess.width_px, preprocess.channels)
        (scratch / "pixels.bin").write_bytes(
            b"".join(rng.integers(0, 256, shape, np.uint8).tobytes() for _ in ids))
        artefact.write_text(scratch / "index.json", codec.to_json(
            {"preprocess": preprocess, "dtype": "uint8", "ids": ids}))
    return PixelStore(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(positional())
    recipe, config = TrainConfig(), ModelConfig("efficientnet_lite0")
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(0)
    module = registry.lookup(MODELS, config.name, "model")(config, 2).train()
    module = module.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(module.parameters(), recipe.learning_rate)

    def step(images: torch.Tensor, labels: torch.Tensor) -> None:
        loss = F.cross_entropy(module(images)["logits"], labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    with tempfile.TemporaryDirectory() as folder:
        store = make_store(Path(folder), options.images, config)
        labels = np.arange(options.images, dtype=np.int64) % 2
        batches = Batches(store, store.ids, labels, recipe.batch_size)
        augment = ultrasound(recipe.augment, config.image_px, config.image_px)
        images, targets = next(iter(batches.in_order()))
        step(images, targets)
        bare, real = [], []
        for turn in range(options.rounds):
            loop = batches.shuffled(augment, 0, turn)
            for _ in range(batches.steps()):
                began = time.perf_counter()
                step(images, targets)
                middle = time.perf_counter()
                one, wanted, _ids = next(loop)
                step(one, wanted)
                bare.append(recipe.batch_size / (middle - began))
                real.append(recipe.batch_size / (time.perf_counter() - middle))
        store.__exit__(None, None, None)
    ratio = statistics.median(real) / statistics.median(bare)
    finish({"what": "images a second, training loop over bare step, EfficientNet-Lite0 at 224",
            "bare": round(statistics.median(bare), 2), "loop": round(statistics.median(real), 2),
            "ratio": round(ratio, 3), "goal": 0.95})


if __name__ == "__main__":
    main()
