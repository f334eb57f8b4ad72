"""Fine-tuned INT8 (``bedside search --qat``) for models whose rounded INT8 misses the budget."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bedside import schemes
from bedside.core import codec
from bedside.core.build import Variant
from bedside.core.errors import BadInput
from bedside.core.progress import Progress
from bedside.core.study import CalibrationConfig
from bedside.flows import variants
from bedside.flows.search.budget import Budget
from bedside.flows.search.scorer import CandidateScorer, Score
from bedside.runfolder import layout
from bedside.schemes import SchemeChoice, mixed

QAT = "qat"


@dataclass(frozen=True, slots=True)
class Tuned:
    """A fine-tuned INT8 variant: its validation score, and whether it meets the budget."""

    model: str
    variant: str
    parent: str
    within: bool
    score: Score


def scheme_of(mixture: SchemeChoice) -> SchemeChoice:
    """Return the INT8 scheme to fine-tune for a mixture: its options, without those of mixing.

    Raises:
        BadInput: an option that excludes fine-tuning.
    """
    options = [o for o in mixture.options if o not in (mixed.SEARCHED, mixed.WIDE)]
    return schemes.parse("+".join(["int8", QAT, *options]))


def fine_tune(run: Path, model: str, choice: SchemeChoice, config: CalibrationConfig,
              budget: Budget, progress: Progress | None = None) -> Tuned:
    """Make the fine-tuned variant and score it as the search scores mixtures.

    Raises:
        BadInput: the network has an operation that cannot be fine-tuned, or validation lacks
            a class.
    """
    variants.make(run, model, choice, config, progress)
    scorer = CandidateScorer(run, model, budget.images)
    folder = layout.variant_dir(run, layout.variant_id(model, str(choice)))
    variant = codec.read_json(Variant, folder / layout.VARIANT)
    if variant.status != "ok":
        raise BadInput(variant.reason or "it could not be made", where=variant.id,
                       remedy="Leave fine-tuning out.")
    score = scorer.score((folder / variant.file).read_bytes())
    return Tuned(model, variant.id, variant.parent or model, budget.holds(score, scorer.reference),
                 score)
