"""Augmentation and batches."""

import numpy as np
import torch
from train_fixture import NET, make_run

from bedside.models import preprocess_of
from bedside.runfolder import layout
from bedside.runtime.pixels import PixelStore
from bedside.stages.train.augment import Batches, ultrasound


def test_augmentation_depends_on_its_seed_alone_and_stays_in_range():
    augment = ultrasound(1.0, 48, 40)
    assert augment is not None
    image = torch.rand(1, 48, 40)
    outputs = [augment(image.clone(), seed) for seed in (5, 6, 5)]
    assert torch.equal(outputs[0], outputs[2]) and not torch.equal(outputs[0], outputs[1])
    for seed in range(30):
        varied = augment(image.clone(), seed)
        assert varied.shape == image.shape and varied.dtype == torch.float32
        assert float(varied.min()) >= 0.0 and float(varied.max()) <= 1.0
    assert ultrasound(0.0, 48, 40) is None


def test_flip_is_left_to_right():
    """Depth runs down an ultrasound image: what is deep must stay deep."""
    augment = ultrasound(1e-6, 16, 16)
    assert augment is not None
    image = torch.arange(256.0).reshape(1, 16, 16) / 256
    varied = [augment(image.clone(), seed) for seed in range(20)]
    flipped = [v for v in varied if float((v - image.flip(2)).abs().max()) < 1e-3]
    same = [v for v in varied if float((v - image).abs().max()) < 1e-3]
    assert flipped and same and len(flipped) + len(same) == 20


def test_batches_visit_every_image_and_never_make_one_of_one(tmp_path):
    run = make_run(tmp_path)
    with PixelStore(layout.cache_dir(run, preprocess_of(NET))) as store:
        ids = store.ids[:17]
        batches = Batches(store, ids, np.arange(17, dtype=np.int64), 8)
        seen = [i for _, _, chosen in batches.shuffled(None, 0, 1) for i in chosen]
        assert batches.steps() == 2 and len(set(seen)) == 16
        labels = torch.cat([y for _, y in batches.in_order()])
        assert labels.tolist() == list(range(17))
        for images, _, chosen in batches.shuffled(None, 0, 1):
            for image, case_id in zip(images, chosen, strict=True):
                np.testing.assert_array_equal(image.numpy()[None], store.tensor(case_id))
