"""The model that a card describes, and look-up of run values by the paths of its table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from bedside.core import codec
from bedside.core.build import Measurement, ModelSpec, Variant
from bedside.core.evidence import Comparison, Comparisons, OperatingPoints
from bedside.core.protocol import Standing
from bedside.core.statistics import Statistics
from bedside.core.study import Study
from bedside.core.types import Case, Task
from bedside.metrics.compare import with_planned
from bedside.runfolder import artefact, layout, protocol, stored

BUNDLE = "bundle/"


@dataclass(frozen=True)
class Facts:
    """A model of a run with its variants and cells, or the one cell that goes into a bundle.

    ``extra`` are the documents of the bundle that is being made, by name (``bundle/…``). ``ids``:
    whether cases may be listed; they stay on the workbench, so a bundle only counts.
    """

    run: Path
    model: str
    variants: tuple[Variant, ...]
    cells: tuple[Measurement, ...]
    extra: Mapping[str, Any] = field(default_factory=dict)
    ids: bool = True

    @cached_property
    def study(self) -> Study:
        """The run's configuration."""
        given = layout.study_file(self.run).is_file()
        return stored.study(self.run) if given else Study()

    @cached_property
    def standing(self) -> Standing:
        """What stood before the test set was opened, and what has changed since."""
        return protocol.standing(self.run, self.study)

    @cached_property
    def task(self) -> Task:
        """The run's task."""
        return stored.task(self.run)

    @cached_property
    def spec(self) -> ModelSpec:
        """The network."""
        return stored.model_spec(self.run, self.model)

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        """Every case."""
        return stored.cases(self.run)

    @cached_property
    def points(self) -> OperatingPoints | None:
        """Thresholds and temperatures, where the stage ``evidence`` has finished."""
        found: OperatingPoints | None = self._published(OperatingPoints, self.model,
                                                        layout.OPERATING_POINT)
        return found

    @cached_property
    def statistics(self) -> Statistics:
        """Probabilities and subgroups; empty where the stage has not finished."""
        return self._published(Statistics, self.model, layout.STATISTICS) or Statistics()

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """This card's cells against float32 on test images, after Holm's adjustment."""
        found = self._published(Comparisons, layout.ALL_MODELS, layout.COMPARISONS)
        mine = {(m.variant, m.target) for m in self.cells}
        return () if found is None else tuple(
            c for c in with_planned(found.comparisons, stored.planned(self.run))
            if c.split == "test" and (c.variant, c.target) in mine)

    def _published(self, cls: type[Any], model: str, name: str) -> Any:
        folder = layout.evidence_dir(self.run, model)
        if not artefact.recorded(folder, "evidence"):
            return None
        return codec.read_json(cls, artefact.checked(folder, "evidence", name))

    def measured(self) -> list[Measurement]:
        """Cells that ran and stored their predictions."""
        return [m for m in self.cells if stored.usable(m)]

    def document(self, name: str) -> Any:
        """Return a file of the run (or of the bundle) as plain data, or None where missing."""
        if name.startswith(BUNDLE):
            return self.extra.get(name)
        path = artefact.verified(self.run / name.format(model=self.model))
        if not path.is_file():
            return None
        text = codec.read_text(path)
        parse = codec.parse_toml if path.suffix == ".toml" else codec.parse_json
        return parse(text, str(path))


def cell_of(row: Any) -> str:
    """Return ``<variant>@<target>`` of a measurement, a comparison or a row of statistics."""
    return layout.cell_name(row.variant, row.target)


def walk(document: Any, path: str) -> Any:
    """Return the value at path ``a.b.c`` (``|`` stands for a dot in a key), or None."""
    for key in path.split(".") if path else ():
        if not isinstance(document, Mapping):
            return None
        document = document.get(key.replace("|", "."))
    return document


def empty(value: Any) -> bool:
    """Return whether a value is empty. 0 and ``false`` are values."""
    return value is None or (isinstance(value, str | Mapping | list | tuple) and not value)
