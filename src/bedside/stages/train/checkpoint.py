"""Training state and its checkpoint: one safetensors file, written atomically.

No pickle: tensors are tensors, everything else is JSON in the file's metadata. Random numbers
need no saving, as every epoch seeds its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from bedside.core.study import TrainConfig
from bedside.models.weights import weights_bytes

CHECKPOINT = ".checkpoint.safetensors"  # a dot: never published
_FACTS = "state"


@dataclass
class State:
    """State that changes during a training.

    ``best`` is (validation AUC, negative validation loss) of epoch ``best_epoch``.
    """

    module: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    ema: dict[str, Tensor] | None = None
    epoch: int = 0
    step: int = 0
    best: tuple[float, float] | None = None
    best_epoch: int = 0
    rows: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def weights(self) -> dict[str, Tensor]:
        """Return the weights that are validated and published: the average where there is one."""
        return self.ema if self.ema is not None else self.module.state_dict()


def begin(network: nn.Module, recipe: TrainConfig, steps: int) -> State:
    """Return the state before the first of ``steps`` steps: optimizer, schedule, average."""
    module = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    # Weight decay acts on convolutions alone, not on batch norm and biases.
    groups: list[dict[str, Any]] = [
        {"params": [p for p in module.parameters() if p.ndim > 1]},
        {"params": [p for p in module.parameters() if p.ndim <= 1], "weight_decay": 0.0}]
    optimizer: torch.optim.Optimizer
    if recipe.optimizer == "adamw":
        optimizer = torch.optim.AdamW(groups, recipe.learning_rate,
                                      weight_decay=recipe.weight_decay)
    else:
        optimizer = torch.optim.SGD(groups, recipe.learning_rate, momentum=0.9, nesterov=True,
                                    weight_decay=recipe.weight_decay)
    scheduler: torch.optim.lr_scheduler.LRScheduler
    if recipe.schedule == "onecycle":
        # One more than the steps: the scheduler is also asked after the last.
        scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, recipe.learning_rate, total_steps=steps + 1, cycle_momentum=False)
    else:
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    ema = ({k: v.clone() for k, v in module.state_dict().items()} if recipe.ema_decay else None)
    return State(module, optimizer, scheduler, ema)


def average(state: State, decay: float) -> None:
    """Move the average of the weights towards the weights, where one is kept."""
    if state.ema is None:
        return
    # Early steps weigh more (as in TensorFlow's ExponentialMovingAverage), or the average
    # would carry the first random weights for thousands of steps.
    decay = min(decay, (1 + state.step) / (10 + state.step))
    for name, value in state.module.state_dict().items():
        if value.is_floating_point():
            state.ema[name].lerp_(value, 1.0 - decay)
        else:
            state.ema[name].copy_(value)


def predict(state: State, images: Iterable[Tensor]) -> npt.NDArray[np.float32]:
    """Return logits (n, K) of batches of images (·, H, W, C), by the average where one is kept."""
    module, own = state.module, None
    module.eval()
    if state.ema is not None:
        own = {k: v.clone() for k, v in module.state_dict().items()}
        module.load_state_dict(state.ema)
    with torch.inference_mode():
        logits = torch.cat([module(batch)["logits"] for batch in images])
    if own is not None:
        module.load_state_dict(own)
    values: npt.NDArray[np.float32] = logits.numpy()
    return values


# ------------------------------------------------------------------ files


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old bytes or the new, never half."""
    scratch = path.with_name(f".{path.name}.part")
    with scratch.open("wb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())
    scratch.replace(path)


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def save_checkpoint(path: Path, state: State) -> None:
    """Write the whole state."""
    tensors = {f"model.{k}": v for k, v in state.module.state_dict().items()}
    if state.ema is not None:
        tensors |= {f"ema.{k}": v for k, v in state.ema.items()}
    for index, parameter in enumerate(_parameters(state.optimizer)):
        for name, value in state.optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{name}"] = value
    facts = {
        "epoch": state.epoch, "step": state.step, "best": state.best,
        "best_epoch": state.best_epoch, "rows": state.rows, "seconds": state.seconds,
        "scheduler": state.scheduler.state_dict(),
        "groups": [{k: v for k, v in g.items() if k != "params"}
                   for g in state.optimizer.param_groups],
    }
    plain = {k: v.detach().contiguous() for k, v in tensors.items()}
    write_atomic(path, save(plain, metadata={_FACTS: json.dumps(facts)}))


def load_checkpoint(path: Path, state: State) -> bool:
    """Fill a freshly made state; False (and nothing changed) where there is no checkpoint."""
    if not path.is_file():
        return False
    with safe_open(path, framework="pt") as handle:
        facts: dict[str, Any] = json.loads(handle.metadata()[_FACTS])
        tensors: dict[str, Tensor] = {k: handle.get_tensor(k)
                                      for k in handle.keys()}  # noqa: SIM118

    def part(prefix: str) -> dict[str, Tensor]:
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    state.module.load_state_dict(part("model."))
    if state.ema is not None:
        for name, value in part("ema.").items():
            state.ema[name].copy_(value)
    for index, parameter in enumerate(_parameters(state.optimizer)):
        own = part(f"optimizer.{index}.")
        # Same strides as the parameter: another memory layout could round differently.
        state.optimizer.state[parameter] = {
            k: torch.empty_like(parameter).copy_(v) if v.shape == parameter.shape else v
            for k, v in own.items()}
    for group, saved in zip(state.optimizer.param_groups, facts["groups"], strict=True):
        group.update({k: tuple(v) if isinstance(v, list) else v for k, v in saved.items()})
    state.scheduler.load_state_dict(facts["scheduler"])
    state.epoch, state.step = facts["epoch"], facts["step"]
    state.best = tuple(facts["best"]) if facts["best"] is not None else None
    state.best_epoch = facts["best_epoch"]
    state.rows, state.seconds = facts["rows"], facts["seconds"]
    return True


def best_file(epoch: int) -> str:
    """Return the name of the best weights so far, of the epoch they are from."""
    return f".best-{epoch:05d}.safetensors"


def keep(scratch: Path, state: State, improved: bool) -> None:
    """Write the best weights, then the checkpoint that names them, then drop older ones."""
    if improved:
        write_atomic(scratch / best_file(state.epoch), weights_bytes(state.weights()))
    save_checkpoint(scratch / CHECKPOINT, state)
    for old in scratch.glob(".best-*.safetensors"):
        if old.name != best_file(state.best_epoch):
            old.unlink()
