"""``bedside search``: choose the layers that stay out of INT8 for every model, then evaluate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bedside import schemes
from bedside.core.progress import Progress
from bedside.core.study import Study
from bedside.flows import study
from bedside.flows.search import budget, tuned


@dataclass(frozen=True, slots=True)
class MixtureSearch:
    """The mixtures, the fine-tuned INT8 variants, and the models whose plain INT8 misses."""

    searches: tuple[budget.SearchResult, ...]
    finetuned: tuple[tuned.Tuned, ...]
    missed: tuple[str, ...]


def search(run: Path, config: Study, models: Sequence[str], scheme: str, wanted: budget.Budget,
           qat: bool, progress: Progress | None = None) -> MixtureSearch:
    """Search the mixture ``scheme`` for ``models``, then evaluate it.

    Where every model of the study was searched, the mixture joins the study's schemes. With
    ``qat`` INT8 is also fine-tuned for the models whose plain INT8 misses the budget.

    Raises:
        BadInput: an unknown scheme, or validation images that lack a class.
    """
    mixture = schemes.parse(scheme)
    searches = tuple(budget.search(run, name, mixture, config.calibration, wanted, progress)
                     for name in models)
    if len(searches) == len(study.model_ids(run, config)):
        budget.with_scheme(run, mixture)
        config = study.load(run)
        study.through(run, config, "evaluate", f"*-{mixture}", progress)
    missed = tuple(s.model for s in searches if not wanted.holds(s.int8, s.float32))
    finetuned: tuple[tuned.Tuned, ...] = ()
    if qat and missed:
        better = tuned.scheme_of(mixture)
        finetuned = tuple(tuned.fine_tune(run, name, better, config.calibration, wanted, progress)
                          for name in missed)
        budget.with_scheme(run, better)
        config = study.load(run)
        for variant in finetuned:
            study.through(run, config, "evaluate", variant.variant, progress)
    return MixtureSearch(searches, finetuned, missed)
