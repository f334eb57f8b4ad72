"""The paper's own numbers, copied from its tables and text.

Garifulla et al., Sensors 2022, 22, 219 (doi:10.3390/s22010219).
"""

from __future__ import annotations

from dataclasses import dataclass

CITATION = (
    "Garifulla M., Shin J., Kim C., Kim W. H., Kim H. J., Kim J., Hong S. A case study of "
    "quantizing convolutional neural networks for fast disease diagnosis on portable medical "
    "devices. Sensors 2022, 22, 219."
)
DOI = "10.3390/s22010219"


@dataclass(frozen=True, slots=True)
class MeanSd:
    """A mean and a standard deviation, as in Table 1."""

    mean: float
    sd: float


# Table 1. The paper prints no units; years and millimetres are how radiology reports them.
TABLE_1: dict[str, dict[str, MeanSd]] = {
    "benign": {"age": MeanSd(44.9, 8.8), "size": MeanSd(9.70, 5.5)},
    "malignant": {"age": MeanSd(51.2, 10.4), "size": MeanSd(19.1, 9.0)},
}


@dataclass(frozen=True, slots=True)
class Table2Cell:
    """One cell of Table 2: accuracy as a fraction of 200 test images, size in MB."""

    accuracy: float
    size_mb: float


TABLE_2_IMAGES = 200

# Table 2, by network and by the scheme's name here.
TABLE_2: dict[str, dict[str, Table2Cell]] = {
    "vgg16": {
        "float32": Table2Cell(0.870, 74.1),
        "dynamic": Table2Cell(0.870, 18.6),
        "float16": Table2Cell(0.870, 37.0),
        "int8": Table2Cell(0.865, 18.6),
    },
    "googlenet": {
        "float32": Table2Cell(0.885, 61.7),
        "dynamic": Table2Cell(0.880, 15.6),
        "float16": Table2Cell(0.885, 30.9),
        "int8": Table2Cell(0.880, 15.6),
    },
    "resnet34": {
        "float32": Table2Cell(0.770, 85.1),
        "dynamic": Table2Cell(0.770, 21.5),
        "float16": Table2Cell(0.770, 42.6),
        "int8": Table2Cell(0.765, 21.5),
    },
}

# The introduction's headlines, and Section 8.3: 97% is INT8 on the phone's NPU against the
# original model on the phone's CPU (about 33 times); on that CPU INT8 was about 3.8 times.
SIZE_REDUCTION = 0.75
TIME_REDUCTION = 0.97
CPU_SPEEDUP = 3.8
NPU_SPEEDUP = 33.0
