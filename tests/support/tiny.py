"""A run with tiny data and untrained networks, for tests of what comes after training."""

from __future__ import annotations

from pathlib import Path


def write_tiny_data(run: Path, px: int = 32, count: int = 40, seed: int = 0) -> None:
    """Data and cache of a run without images on disk: bright and dark discs in noise."""
    import numpy as np

    from bedside.core import codec
    from bedside.core.types import Case, Preprocess, Task
    from bedside.runfolder import artefact, layout
    from bedside.runfolder.cases import cases_to_csv

    rng = np.random.default_rng(seed)
    task = Task(("benign", "malignant"), "malignant")
    parts = ["train"] * (count // 2) + ["val"] * (count // 4) + ["test"] * (count - 3 * count // 4)
    cases, planes = [], []
    rows, columns = np.mgrid[:px, :px]
    for i, split in enumerate(parts):
        label = task.classes[i % 2]
        y, x = rng.uniform(0.3, 0.7, 2) * px
        disc = (rows - y) ** 2 + (columns - x) ** 2 < (px / 5) ** 2
        plane = rng.normal(120, 25, (px, px)) + disc * (60 if i % 2 else -60)
        planes.append(np.clip(plane, 0, 255).astype(np.uint8)[..., None])
        cases.append(Case(f"c{i:04d}", f"{label}/{i}.png", label, None, f"g{i}", split, px, px,
                          f"{i:064x}"))
    with artefact.writing(layout.data_dir(run), "data", "tiny") as scratch:
        artefact.write_text(scratch / layout.CASES, cases_to_csv(cases))
        artefact.write_text(scratch / layout.TASK, codec.to_json(task))
    preprocess = Preprocess(height_px=px, width_px=px)
    with artefact.writing(layout.cache_dir(run, preprocess), "cache", "tiny") as scratch:
        (scratch / "pixels.bin").write_bytes(b"".join(p.tobytes() for p in planes))
        artefact.write_text(scratch / "index.json", codec.to_json({
            "preprocess": preprocess, "dtype": "uint8", "ids": [c.id for c in cases]}))


def write_untrained(run: Path, config, seed: int = 0) -> str:
    """Publish seeded random weights as if ``train`` had finished; returns the model's id."""
    import torch
    from safetensors.torch import save_file

    from bedside.core import codec, registry
    from bedside.core.build import ModelSpec
    from bedside.models import MODELS, preprocess_of
    from bedside.runfolder import artefact, layout, stored

    torch.manual_seed(seed)
    model_id = config.id or config.name
    task = stored.task(run)
    module = registry.lookup(MODELS, config.name, "model")(config, len(task.classes)).train()
    with torch.no_grad(), stored.pixel_store(run, preprocess_of(config)) as store:
        # Batch norm statistics of real images, so that activations have real ranges.
        batch = torch.cat([torch.from_numpy(store.tensor(i)) for i in store.ids[:16]])
        for _ in range(10):
            module(batch)
    with artefact.writing(layout.model_dir(run, model_id), "train", f"seed{seed}") as scratch:
        save_file({k: v.contiguous() for k, v in module.state_dict().items()},
                  scratch / layout.WEIGHTS)
        artefact.write_text(scratch / layout.HISTORY, "epoch,train_loss\n1,0.5\n")
        artefact.write_text(scratch / layout.SPEC, codec.to_json(ModelSpec(
            model_id, config.name, preprocess_of(config), task, config)))
    return model_id


def write_trained(run: Path, config, epochs: int = 8, seed: int = 0) -> tuple[str, float]:
    """The same after a short training on the run's training images; also the val accuracy."""
    import torch
    from safetensors.torch import load_file, save_file

    from bedside.core import codec, registry
    from bedside.core.build import ModelSpec
    from bedside.models import MODELS, preprocess_of
    from bedside.runfolder import artefact, layout, stored

    model_id = write_untrained(run, config, seed)
    task = stored.task(run)
    folder = layout.model_dir(run, model_id)
    module = registry.lookup(MODELS, config.name, "model")(config, len(task.classes))
    module.load_state_dict(load_file(folder / layout.WEIGHTS))

    def batch(store, cases):
        images = torch.cat([torch.from_numpy(store.tensor(c.id)) for c in cases])
        return images, torch.tensor([task.classes.index(c.label) for c in cases])

    with stored.pixel_store(run, preprocess_of(config)) as store:
        parts = {s: batch(store, [c for c in stored.cases(run) if c.split == s])
                 for s in ("train", "val")}
    optimizer = torch.optim.AdamW(module.parameters(), 3e-3)
    order = torch.Generator().manual_seed(seed)
    module.train()
    images, labels = parts["train"]
    for _ in range(epochs):
        for chosen in torch.randperm(len(labels), generator=order).split(20):
            loss = torch.nn.functional.cross_entropy(module(images[chosen])["logits"],
                                                     labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    module.eval()
    with torch.no_grad():
        found = module(parts["val"][0])["logits"].argmax(1)
    accuracy = float((found == parts["val"][1]).float().mean())
    with artefact.writing(folder, "train", f"trained{seed}") as scratch:
        save_file({k: v.contiguous() for k, v in module.state_dict().items()},
                  scratch / layout.WEIGHTS)
        artefact.write_text(scratch / layout.HISTORY, "epoch,train_loss\n1,0.5\n")
        artefact.write_text(scratch / layout.SPEC, codec.to_json(ModelSpec(
            model_id, config.name, preprocess_of(config), task, config)))
    return model_id, accuracy


def publish_mixture(run: Path, model: str, kept: tuple[str, ...]) -> None:
    """Publish a mixture as if ``bedside search`` had found it."""
    from bedside.core import codec
    from bedside.core.model_files import Mixture
    from bedside.runfolder import artefact, layout

    path = layout.model_dir(run, model) / layout.FLOAT_MODEL
    with artefact.writing(layout.search_dir(run, model), "search", "tiny") as scratch:
        artefact.write_text(scratch / layout.MIXTURE, codec.to_json(Mixture(
            model, artefact.sha256_file(path), kept)))
