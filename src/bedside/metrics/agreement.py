"""Agreement between two sets of logits of the same images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bedside.core.build import Agreement


def agree(logits: npt.NDArray[np.float32], reference: npt.NDArray[np.float32]) -> Agreement:
    """Compute root mean square difference, range and changed classes of two (n, K) logit arrays."""
    ours, theirs = logits.astype(np.float64), reference.astype(np.float64)
    return Agreement(len(ours), int((ours.argmax(1) != theirs.argmax(1)).sum()),
                     float(np.sqrt(np.mean((ours - theirs) ** 2))),
                     float(theirs.max() - theirs.min()))
