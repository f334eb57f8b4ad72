"""A figure's module and data, and the data's form on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from bedside.core import codec, registry
from bedside.core.errors import BadInput
from bedside.figures import FIGURES
from bedside.runfolder import artefact

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DATA = "data.npz"
FACTS = "facts.json"
UNAVAILABLE = "unavailable"

# Increased when the numbers of any figure change meaning, so that old ones are recomputed.
VERSION = 2

_REMEDY = "Delete the folder and run: bedside analyse RUN"


class NotAvailable(Exception):
    """The reason why a model or study has no figure; the report shows it in the figure's stead."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Reads:
    """Inputs of a figure beyond the data, models, variants and measurements.

    ``whole_study``: computed once from all models rather than once for each. ``evidence``: the
    paired tests of the stage ``evidence``. ``settings``: the study's evidence settings. ``version``
    is increased when the figure's own numbers change meaning.
    """

    whole_study: bool = False
    evidence: bool = False
    settings: bool = False
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class FigureData:
    """Arrays by name, and facts that JSON can hold (finite numbers, strings, lists, tables).

    Where a figure cannot exist, ``facts`` is ``{"unavailable": reason}`` alone.
    """

    arrays: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def unavailable(self) -> str | None:
        """The reason why there is no figure, or None where there is one."""
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
        facts = artefact.read_document(folder / FACTS)
        if not isinstance(facts, dict):
            raise BadInput("not a table of facts", where=folder / FACTS, remedy=_REMEDY)
        try:
            with np.load(folder / DATA, allow_pickle=False) as data:
                arrays = {name: data[name] for name in data.files}
        except (OSError, ValueError, KeyError) as error:
            raise BadInput(f"does not read ({type(error).__name__})", where=folder / DATA,
                           remedy=_REMEDY) from None
        return FigureData(arrays, facts)


class FigureModule(Protocol):
    """The contents of a figure's file."""

    TITLE: str
    READS: Reads

    def compute(self, run: Path, model: str) -> FigureData:
        """Compute the figure's numbers; raises NotAvailable where it cannot exist."""
        ...

    def draw(self, data: FigureData) -> Figure:
        """Draw the figure."""
        ...

    def caption(self, data: FigureData) -> str:
        """Describe the figure in two or three sentences, with its own numbers."""
        ...


def figure_module(name: str) -> FigureModule:
    """Import a figure's module.

    Raises:
        BadInput: the name is not in ``FIGURES``.
    """
    module: FigureModule = registry.lookup(FIGURES, name, "figure")
    return module


def plain(value: Any) -> Any:
    """Convert numpy scalars and arrays to Python numbers and lists, recursively."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return value.item()
    return value
