"""Drawing of figures: the only package that imports matplotlib.

Each file holds ``draw(data) -> matplotlib.figure.Figure`` and ``caption(data) -> str``, from
the :class:`bedside.figures.base.FigureData` of the analysis of the same name.
"""

from __future__ import annotations

FIGURES: dict[str, str] = {
    "pareto": "bedside.figures.draw.pareto:draw",
    "samples": "bedside.figures.draw.samples:draw",
    "network": "bedside.figures.network_drawing:draw",
    "history": "bedside.figures.draw.history:draw",
    "first_conv": "bedside.figures.draw.first_conv:draw",
    "mapping": "bedside.figures.draw.mapping:draw",
    "operations": "bedside.figures.draw.operations:draw",
    "feature_maps": "bedside.figures.draw.feature_maps:draw",
    "weights": "bedside.figures.draw.weights:draw",
    "point_clouds": "bedside.figures.draw.point_clouds:draw",
    "cam": "bedside.figures.draw.cam:draw",
    "fidelity": "bedside.figures.draw.fidelity:draw",
    "flips": "bedside.figures.draw.flips:draw",
    "reliability": "bedside.figures.draw.reliability:draw",
    "robustness": "bedside.figures.draw.robustness:draw",
    "clipping": "bedside.figures.draw.clipping:draw",
    "sensitivity": "bedside.figures.draw.sensitivity:draw",
    "calibration_study": "bedside.figures.draw.calibration_study:draw",
    "latency": "bedside.figures.draw.latency:draw",
    "processors": "bedside.figures.draw.processors:draw",
    "server": "bedside.figures.draw.server:draw",
    "sizes": "bedside.figures.draw.sizes:draw",
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
