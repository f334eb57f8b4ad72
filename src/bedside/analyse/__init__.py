"""The numbers behind the paper's figures: one file a figure, run by the stage ``analyse``.

To add one: a file with ``compute(run, model) -> FigureData``, a line in ``ANALYSES``, and a
line in ``bedside.report.figures.FIGURES`` that draws it.
"""

from __future__ import annotations

# In the paper's order. Values are lazy "module:object" names.
ANALYSES: dict[str, str] = {
    "pareto": "bedside.analyse.pareto:compute",
    "samples": "bedside.analyse.samples:compute",
    "network": "bedside.analyse.network:compute",
    "history": "bedside.analyse.history:compute",
    "first_conv": "bedside.analyse.first_conv:compute",
    "mapping": "bedside.analyse.mapping:compute",
    "operations": "bedside.analyse.operations:compute",
    "feature_maps": "bedside.analyse.feature_maps:compute",
    "weights": "bedside.analyse.weights:compute",
    "point_clouds": "bedside.analyse.point_clouds:compute",
    "cam": "bedside.analyse.cam:compute",
    "fidelity": "bedside.analyse.fidelity:compute",
    "flips": "bedside.analyse.flips:compute",
    "reliability": "bedside.analyse.reliability:compute",
    "robustness": "bedside.analyse.robustness:compute",
    "clipping": "bedside.analyse.clipping:compute",
    "sensitivity": "bedside.analyse.sensitivity:compute",
    "calibration_study": "bedside.analyse.calibration_study:compute",
    "latency": "bedside.analyse.latency:compute",
    "processors": "bedside.analyse.processors:compute",
    "server": "bedside.analyse.server:compute",
    "sizes": "bedside.analyse.sizes:compute",
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
