"""A network on which plain INT8 fails: one channel a thousand times larger than all others.

Random convolutions, a classifier fitted to their features. One channel of the first layer is
multiplied and what reads it divided, which changes nothing in float; int8 gives the tensor one
scale, so the other channels, which the answer rests on, get no step of their own.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tiny import write_tiny_data

MODEL = "outlier"
FACTOR = 3000.0


def write_outlier_run(run: Path, relu6: bool = False, factor: float = FACTOR) -> Path:
    """A run with 160 images and this network, as if ``convert`` had finished."""
    import torch
    from sklearn.linear_model import LogisticRegression
    from torch import nn

    from bedside.core import codec
    from bedside.core.build import ModelSpec
    from bedside.core.study import ModelConfig, Study
    from bedside.core.types import Preprocess
    from bedside.runfolder import artefact, layout, stored
    from bedside.stages.convert import _export

    class Outlier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(1, 8, 5, 2, 2)
            self.conv2 = nn.Conv2d(8, 12, 1)
            self.conv3 = nn.Conv2d(12, 12, 3, 2, 1)
            self.classifier = nn.Conv2d(12, 2, 1)

        def features(self, image):
            act = nn.functional.relu6 if relu6 else nn.functional.relu
            x = act(self.conv1(image.permute(0, 3, 1, 2)))
            return torch.relu(self.conv3(torch.relu(self.conv2(x))))

        def forward(self, image):
            maps = self.classifier(self.features(image))
            logits = nn.functional.avg_pool2d(maps, (maps.shape[2], maps.shape[3])).flatten(1)
            return {"logits": logits, "cam": maps.permute(0, 2, 3, 1)}

    Outlier.__qualname__ = "Outlier"
    write_tiny_data(run, count=160)
    torch.manual_seed(1)
    torch.set_num_threads(1)
    module = Outlier().eval()
    preprocess = Preprocess(32, 32, 1)
    cases = stored.cases(run)
    with torch.no_grad(), stored.pixel_store(run, preprocess) as store:
        train = [c for c in cases if c.split == "train"]
        images = torch.cat([torch.from_numpy(store.tensor(c.id)) for c in train])
        rows = module.features(images).mean((2, 3)).numpy()
        scale = rows.std(0) + 1e-6
        fitted = LogisticRegression(C=1.0, max_iter=5000).fit(
            rows / scale, [c.label == "malignant" for c in train])
        weights = fitted.coef_[0] / scale
        module.classifier.weight[:] = torch.tensor(
            np.stack([-weights, weights]) / 2, dtype=torch.float32)[:, :, None, None]
        module.classifier.bias[:] = torch.tensor(
            [-fitted.intercept_[0] / 2, fitted.intercept_[0] / 2], dtype=torch.float32)
        largest = int(np.argmax(module.conv1(images.permute(0, 3, 1, 2)).amax((0, 2, 3))))
        if not relu6:
            module.conv1.weight[largest] *= factor
            module.conv1.bias[largest] *= factor
            module.conv2.weight[:, largest] /= factor
    artefact.write_text(layout.study_file(run), codec.to_toml(
        Study(models=(ModelConfig(MODEL, id=MODEL),))))
    folder = layout.model_dir(run, MODEL)
    with artefact.writing(folder, "train", "k") as scratch:
        artefact.write_text(scratch / layout.SPEC, codec.to_json(
            ModelSpec(MODEL, MODEL, preprocess, stored.task(run))))
    with artefact.writing(folder, "convert", "k") as scratch:
        _export(module, preprocess, scratch / layout.FLOAT_MODEL)
    return run


def logits(run: Path, path: Path, split: str = "test"):
    """Labels and logits of one split."""
    from bedside.runfolder import stored
    from bedside.runtime.litert import LiteRTModel

    model = LiteRTModel(path)
    cases = [c for c in stored.cases(run) if c.split == split]
    with stored.pixel_store(run, stored.model_spec(run, MODEL).preprocess) as store:
        found = np.concatenate([model.run(store.tensor(c.id))["logits"] for c in cases])
    return np.array([c.label == "malignant" for c in cases], np.int64), found


def auroc(run: Path, path: Path, split: str = "test") -> float:
    """AUC of one split."""
    from bedside.metrics import binary

    value = binary.auroc(*logits(run, path, split), 1).value
    assert value is not None
    return value
