"""Images whose size or brightness is an outlier within the data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bedside.core.audit import Outlier

# Robust standard deviations from the median (Iglewicz and Hoaglin 1993 take 3.5 of these; ordinary
# hospital folders mix devices, so only what is far outside is named).
_FAR = 6.0
_LEAST_IMAGES = 20


def outliers(files: Sequence[str], columns: Mapping[str, Sequence[float]],
             logarithmic: Sequence[str] = ()) -> tuple[Outlier, ...]:
    """Return the values more than six robust standard deviations (1.4826 · MAD) from the median.

    Args:
        files: names of the images.
        columns: a value for each image, by name.
        logarithmic: columns compared as logarithms (sizes).
    """
    if len(files) < _LEAST_IMAGES:
        return ()
    out: list[Outlier] = []
    for what, values in columns.items():
        raw = np.asarray(values, np.float64)
        scale = np.log(np.maximum(raw, 1e-9)) if what in logarithmic else raw
        middle = float(np.median(scale))
        # Where most values are equal the MAD is 0: half of the standard deviation stands in.
        spread = max(1.4826 * float(np.median(np.abs(scale - middle))), float(scale.std()) / 2,
                     0.02 if what in logarithmic else 1.0)
        far = np.abs(scale - middle) > _FAR * spread
        median = float(np.median(raw))
        out.extend(Outlier(files[i], what, round(float(raw[i]), 2), round(median, 2))
                     for i in np.nonzero(far)[0].tolist())
    return tuple(out)
