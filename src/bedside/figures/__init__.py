"""The report's figures: one file each, computed by ``analyse`` and drawn by ``report``.

A figure's file holds ``TITLE``, ``READS``, ``compute``, ``draw`` and ``caption``, as
:class:`bedside.figures.base.FigureModule` declares them. To add one, write the file and add a line
to ``FIGURES``.
"""

from __future__ import annotations

# The figures' modules by name, in the report's order; imported only when needed.
FIGURES: dict[str, str] = {
    "pareto": "bedside.figures.pareto",
    "samples": "bedside.figures.samples",
    "network": "bedside.figures.network",
    "history": "bedside.figures.history",
    "first_conv": "bedside.figures.first_conv",
    "mapping": "bedside.figures.mapping",
    "operations": "bedside.figures.operations",
    "feature_maps": "bedside.figures.feature_maps",
    "weights": "bedside.figures.weights",
    "point_clouds": "bedside.figures.point_clouds",
    "cam": "bedside.figures.cam",
    "fidelity": "bedside.figures.fidelity",
    "flips": "bedside.figures.flips",
    "reliability": "bedside.figures.reliability",
    "decision_curve": "bedside.figures.decision_curve",
    "robustness": "bedside.figures.robustness",
    "clipping": "bedside.figures.clipping",
    "sensitivity": "bedside.figures.sensitivity",
    "calibration_study": "bedside.figures.calibration_study",
    "latency": "bedside.figures.latency",
    "processors": "bedside.figures.processors",
    "server": "bedside.figures.server",
    "repeats": "bedside.figures.repeats",
    "sizes": "bedside.figures.sizes",
}

# The model argument and the folder name of a figure of the whole study.
ALL_MODELS = "all"
