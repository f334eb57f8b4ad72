"""What a recommendation says where settings changed after the test set was opened."""

from __future__ import annotations

from dataclasses import replace

from bedside.core.protocol import Standing
from bedside.core.recommendation import Recommendation
from bedside.core.study import BudgetConfig
from bedside.core.text import capital


def qualify(made: Recommendation, standing: Standing, budget: BudgetConfig) -> Recommendation:
    """Mark a target's recommendation as exploratory where its protocol was departed from or lost.

    A confirmation becomes the verdict ``exploratory``, which proves nothing: with
    ``require = "shown"`` nothing is recommended then. A veto stands, since harm that was found
    does not go away with the settings.
    """
    if not standing.exploratory(made.target):
        return made
    why = standing.why(made.target)
    marked = replace(made, exploratory=tuple(
        c.text for c in standing.after_opening(made.target)) or (capital(why),))
    if made.test is None or made.test.verdict != "confirmed":
        return replace(marked, warnings=(f"exploratory: {why}", *made.warnings))
    text = f"exploratory, not {made.test.text}: {why}"
    marked = replace(marked, test=replace(made.test, verdict="exploratory", text=text))
    if budget.require != "shown" or made.chosen is None:
        return marked
    reason = f"the study requires proof of non-inferiority (require = \"shown\"), and {why}"
    return replace(
        marked, chosen=None, cause="not shown", vetoed=made.chosen,
        rejected={made.chosen: reason, **made.rejected},
        causes={made.chosen: "not shown", **made.causes},
        why=(f"{made.chosen} ranks first on validation images and latency. {capital(reason)}.",))
