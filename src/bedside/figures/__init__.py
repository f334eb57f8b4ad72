"""The numbers behind the paper's figures: one file a figure, run by the stage ``analyse``.

To add one: a file with ``compute(run, model) -> FigureData``, a line in ``ANALYSES``, and a
line in ``bedside.figures.draw.FIGURES`` that draws it.
"""

from __future__ import annotations

# In the paper's order. Values are lazy "module:object" names.
ANALYSES: dict[str, str] = {
    "pareto": "bedside.figures.pareto:compute",
    "samples": "bedside.figures.samples:compute",
    "network": "bedside.figures.network:compute",
    "history": "bedside.figures.history:compute",
    "first_conv": "bedside.figures.first_conv:compute",
    "mapping": "bedside.figures.mapping:compute",
    "operations": "bedside.figures.operations:compute",
    "feature_maps": "bedside.figures.feature_maps:compute",
    "weights": "bedside.figures.weights:compute",
    "point_clouds": "bedside.figures.point_clouds:compute",
    "cam": "bedside.figures.cam:compute",
    "fidelity": "bedside.figures.fidelity:compute",
    "flips": "bedside.figures.flips:compute",
    "reliability": "bedside.figures.reliability:compute",
    "robustness": "bedside.figures.robustness:compute",
    "clipping": "bedside.figures.clipping:compute",
    "sensitivity": "bedside.figures.sensitivity:compute",
    "calibration_study": "bedside.figures.calibration_study:compute",
    "latency": "bedside.figures.latency:compute",
    "processors": "bedside.figures.processors:compute",
    "server": "bedside.figures.server:compute",
    "sizes": "bedside.figures.sizes:compute",
}

# What the model argument and the folder are called for figures of the whole study.
ALL_MODELS = "all"

# Figures of the whole study; every other entry is made once for each model.
STUDY_WIDE: frozenset[str] = frozenset({"pareto", "samples", "latency", "processors", "server",
                                     "sizes"})

# Figures that are made anew when the paired tests change.
READS_EVIDENCE: frozenset[str] = frozenset({"flips", "reliability"})

# Figures that depend on the study's evidence settings besides.
READS_SETTINGS: frozenset[str] = frozenset({"robustness"})

# Counted up when the numbers of any figure change their meaning, so that old ones are remade.
VERSION = 2
# The same for one figure alone.
VERSIONS: dict[str, int] = {"robustness": 4}
