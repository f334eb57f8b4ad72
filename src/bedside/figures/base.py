"""What an analysis hands to a figure, and how it lies on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bedside.core import codec
from bedside.core.errors import BadInput

DATA = "data.npz"
FACTS = "facts.json"
UNAVAILABLE = "unavailable"

_REMEDY = "Delete the folder and run: bedside analyse RUN"


class NotAvailable(Exception):
    """A figure that this model or study cannot have; the reason is shown in its place."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class FigureData:
    """Arrays by name, and facts that JSON can hold (finite numbers, texts, lists, tables).

    Where a figure cannot exist, ``facts`` is ``{"unavailable": reason}`` alone.
    """

    arrays: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def unavailable(self) -> str | None:
        """Why there is no figure, or None where there is one."""
        reason = self.facts.get(UNAVAILABLE)
        return str(reason) if reason is not None else None

    def save(self, folder: Path) -> None:
        """Write ``data.npz`` and ``facts.json`` into ``folder``.

        Raises:
            ValueError: a fact that is not finite, or an array of objects.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for name, values in self.arrays.items():
            if values.dtype.hasobject:
                raise ValueError(f"array {name!r} holds objects")
        with (folder / DATA).open("wb") as handle:
            np.savez_compressed(handle, allow_pickle=False, **self.arrays)
        (folder / FACTS).write_text(codec.to_json(plain(self.facts)), encoding="utf-8")

    @staticmethod
    def load(folder: Path) -> FigureData:
        """Read what :meth:`save` wrote, without pickle.

        Raises:
            BadInput: missing or damaged.
        """
        facts = codec.parse_json(codec.read_text(folder / FACTS), str(folder / FACTS))
        if not isinstance(facts, dict):
            raise BadInput("not a table of facts", where=folder / FACTS, remedy=_REMEDY)
        try:
            with np.load(folder / DATA, allow_pickle=False) as data:
                arrays = {name: data[name] for name in data.files}
        except (OSError, ValueError, KeyError) as error:
            raise BadInput(f"does not read ({type(error).__name__})", where=folder / DATA,
                           remedy=_REMEDY) from None
        return FigureData(arrays, facts)


def plain(value: Any) -> Any:
    """Numpy scalars and small arrays as Python numbers and lists, all the way down."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return value.item()
    return value
