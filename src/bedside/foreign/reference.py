"""The file as it came, run beside its normalised form; and how far the two agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bedside.core.contract import OutputKind, Parity
from bedside.core.errors import GateFailed
from bedside.foreign.image_input import to_model
from bedside.runtime.litert import RawModel

Floats = npt.NDArray[np.float32]

TOLERANCE = 1e-3  # of a class probability, between the file as it came and the normalised one
_PROBES = 4


class Reference:
    """The file as it came, run on images (1, H, W, C) in [0, 1] as its contract says.

    Independent of the edited graph: range, colour order and layout are applied in numpy, and its
    output becomes probabilities by what it is declared or seen to be.

    Args:
        source: the file's bytes.
        where: its name, for messages.
        shape: its input's shape for one image.
        output: the number of the tensor with the scores.
        channel_map: from :func:`bedside.foreign.image_input.channel_map`.
        kind: what the scores are.
    """

    def __init__(self, source: bytes, where: str, shape: tuple[int, ...], output: int,
                 channel_map: tuple[Floats, Floats], kind: OutputKind = "logits") -> None:
        self._source, self._where, self._shape = source, where, shape
        self._output, self._map, self._kind = output, channel_map, kind
        self._loaded: RawModel | None = None

    def close(self) -> None:
        """Free the model; the next image loads it again."""
        self._loaded = None

    @property
    def _model(self) -> RawModel:
        if self._loaded is None:
            self._loaded = RawModel(self._source, self._where, self._shape)
        return self._loaded

    def raw(self, image: Floats) -> npt.NDArray[np.float64]:
        """Return the output's values (K,) for one image."""
        values = to_model(image, *self._map, self._shape)
        if np.issubdtype(self._model.dtype, np.integer):
            values = np.rint(values)
        self._model.feed(values)
        return self._model.tensor(self._output).reshape(-1).astype(np.float64)

    def probabilities(self, image: Floats) -> npt.NDArray[np.float64]:
        """Return the classes' probabilities (K,), in the model's order of classes.

        One sigmoid a class is returned as it is: the values do not sum to one.
        """
        values, kind = self.raw(image), self._kind
        if len(values) == 1:
            p = values[0] if kind == "probabilities" else 1 / (1 + np.exp(-values[0]))
            return np.asarray([1 - p, p])
        return softmax(values) if kind in ("logits", "log-probabilities") else values


def softmax(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the softmax of (K,) values."""
    powers = np.exp(values - values.max())
    return np.asarray(powers / powers.sum())


def probes(size: tuple[int, int, int]) -> list[Floats]:
    """Return synthetic images (1, H, W, C) in [0, 1]: black, white, noise and smooth shapes."""
    height, width, channels = size
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width] / max(height, width)
    made = [np.full((height, width), v) for v in (0.0, 1.0)]
    made += [rng.random((height, width))]
    made += [np.clip(0.5 + 0.5 * np.sin(rng.uniform(2, 20) * x + rng.uniform(2, 20) * y), 0, 1)
             for _ in range(_PROBES - 3)]
    return [np.repeat(np.rint(255 * m)[None, :, :, None] / 255, channels, axis=3)
            .astype(np.float32) for m in made]


def agreement(logits: npt.NDArray[np.floating[Any]], wanted: npt.NDArray[np.floating[Any]],
              kind: OutputKind) -> Parity:
    """Return how a normalised model agrees with the file that came.

    Args:
        logits: (n, K), of the normalised model.
        wanted: (n, K), the file's probabilities of the same classes.
        kind: of the file's output: one sigmoid a class is compared with sigmoids.
    """
    values = logits.astype(np.float64)
    found = (1 / (1 + np.exp(-values)) if kind == "sigmoids"
             else np.asarray([softmax(v) for v in values]))
    top = np.sort(wanted, axis=1)
    # Classes that the file itself holds equal have no likeliest one.
    differ = (found.argmax(axis=1) != wanted.argmax(axis=1)) & (top[:, -1] - top[:, -2] > 1e-6)
    return Parity(len(values), int(differ.sum()), float(np.abs(found - wanted).max()))


def require(parity: Parity, where: str) -> None:
    """Refuse a normalised model that answers otherwise than its file.

    Raises:
        GateFailed: another class for some image, or a probability that differs by more than 0.001.
    """
    if parity.classes_differ or not parity.largest_difference <= TOLERANCE:
        raise GateFailed(
            f"normalised, the model answers otherwise: {parity.classes_differ} of {parity.images} "
            f"images change class, probabilities differ by up to {parity.largest_difference:.2g}",
            where=where, remedy="Report the model; do not use this import.")
