"""Drawing of figures: the only package that imports matplotlib.

Each file holds ``draw(data) -> matplotlib.figure.Figure`` and ``caption(data) -> str``, from
the :class:`bedside.analyse.base.FigureData` of the analysis of the same name.
"""

from __future__ import annotations

FIGURES: dict[str, str] = {
    "pareto": "bedside.report.figures.pareto:draw",
    "samples": "bedside.report.figures.samples:draw",
    "network": "bedside.report.figures.network:draw",
    "history": "bedside.report.figures.history:draw",
    "first_conv": "bedside.report.figures.first_conv:draw",
    "mapping": "bedside.report.figures.mapping:draw",
    "operations": "bedside.report.figures.operations:draw",
    "feature_maps": "bedside.report.figures.feature_maps:draw",
    "weights": "bedside.report.figures.weights:draw",
    "point_clouds": "bedside.report.figures.point_clouds:draw",
    "cam": "bedside.report.figures.cam:draw",
    "fidelity": "bedside.report.figures.fidelity:draw",
    "flips": "bedside.report.figures.flips:draw",
    "reliability": "bedside.report.figures.reliability:draw",
    "robustness": "bedside.report.figures.robustness:draw",
    "clipping": "bedside.report.figures.clipping:draw",
    "sensitivity": "bedside.report.figures.sensitivity:draw",
    "calibration_study": "bedside.report.figures.calibration_study:draw",
    "latency": "bedside.report.figures.latency:draw",
    "processors": "bedside.report.figures.processors:draw",
    "server": "bedside.report.figures.server:draw",
    "sizes": "bedside.report.figures.sizes:draw",
}

# Short titles, in the order of ``FIGURES``, with the paper's number where it has one.
TITLES: dict[str, str] = {
    "pareto": "Accuracy against latency, and size",
    "samples": "Samples of each class (the paper's Figure 5)",
    "network": "The network (the paper's Figure 2)",
    "history": "Training history (the paper's Figure 6)",
    "first_conv": "The first convolution (the paper's Figure 1)",
    "mapping": "Quantization mapping (the paper's Figure 3)",
    "operations": "Operations and number formats (the paper's Figure 4)",
    "feature_maps": "Feature maps and filters (the paper's Figure 7)",
    "weights": "Weight distribution (the paper's Figure 8)",
    "point_clouds": "Point clouds of logits (the paper's Figure 9)",
    "cam": "Class activation maps",
    "fidelity": "Does each variant look at the same thing",
    "flips": "Images whose decision changed",
    "reliability": "Do probabilities come true",
    "robustness": "Worse images: does INT8 fall faster than FP32",
    "clipping": "Clipped activations, layer by layer, and the bias of the logits",
    "sensitivity": "Sensitivity of each layer to INT8",
    "calibration_study": "How many calibration images are enough",
    "latency": "Inference time on the CPU (the CPU part of the paper's Figure 10)",
    "processors": "Inference time by scheme and processor (the paper's Figure 10)",
    "server": "Server CPU against NPU (the paper's Figure 11)",
    "sizes": "Model sizes (from the paper's Table 2)",
}
