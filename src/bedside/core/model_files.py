"""Types of the files in a model's folder: conversion, tuning and mixture."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Conversion:
    """Facts of a conversion: the last convolution's layer and the parity with torch."""

    last_conv: str | None
    operations: int
    largest_logit_difference: float | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting that ``--tune`` tried; ``val_auroc`` after a shortened training."""

    learning_rate: float
    weight_decay: float
    augment: float
    val_auroc: float


@dataclass(frozen=True, slots=True)
class Tuning:
    """``tune.json``: every trial in order, epochs of each, and which was chosen."""

    epochs: int
    trials: tuple[Trial, ...] = ()
    chosen: int | None = None


@dataclass(frozen=True, slots=True)
class Mixture:
    """``mixture.json`` of a search: the layers that stay out of int8, and of which model."""

    model: str
    float_sha256: str
    kept: tuple[str, ...]
