"""Types of a study's configuration (``study.toml``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bedside.core.contract import Declared
from bedside.core.types import Split


@dataclass(frozen=True, slots=True)
class PhantomConfig:
    """Synthetic breast ultrasound. ``difficulty`` runs from 0 (classes far apart) to 1 (alike)."""

    images: int = 1400
    height_px: int = 224
    width_px: int = 224
    malignant_fraction: float = 0.5
    difficulty: float = 0.3


@dataclass(frozen=True, slots=True)
class DataConfig:
    """Source of the images, and how they become cases of a task.

    ``frames``: which frames of a multi-frame DICOM file become cases (``middle`` is frame
    (n + 1) // 2 of n, counted from 1). ``label_tag``: the DICOM element whose value is the
    label, as a keyword or ``(gggg,eeee)``; without it folders or a CSV give the labels.
    ``columns``: which columns of a table say what, as ``label = "dx"``,
    ``file = "image_id+.jpg"``. ``layout``: what folders mean: ``auto`` recognises them and asks
    where two readings are possible, ``classes`` takes every folder for a class, ``parts`` folders
    named train, val and test for a split. ``near_duplicates``: which images count as one image;
    without it ``default``, and the run asks where that would set many images aside.
    """

    source: str = "phantom"
    exclude: tuple[str, ...] = ()
    merge: dict[str, tuple[str, ...]] = field(default_factory=dict)
    positive: str | None = None
    class_names: tuple[str, ...] = ()
    split_file: str | None = None
    proportions: tuple[int, int, int] = (1000, 200, 200)
    regroup: bool = False
    skip_bad: bool = False
    decisions: str | None = None
    frames: Literal["first", "middle", "all"] = "middle"
    label_tag: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    layout: Literal["auto", "classes", "parts"] = "auto"
    near_duplicates: Literal["exact", "strict", "default", "off"] | None = None
    phantom: PhantomConfig = field(default_factory=PhantomConfig)


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """One network of a study.

    ``weights``: ``default`` (pretrained where the network ships with weights, else random),
    ``random``, or a ``.safetensors`` file with torchvision's parameter names.
    ``id`` names the folder; it is the network's name unless a study trains one twice.
    """

    name: str
    id: str = ""
    image_px: int = 224
    channels: int = 1
    width: float = 1.0
    cam_conv: bool = False
    branch5: Literal[3, 5] = 5
    weights: str = "default"
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Training recipe; a model's own ``epochs``, ``batch_size``, ``learning_rate`` win.

    The defaults are made for a few hundred images: averaged weights, smoothed labels, decay and
    augmentation strong enough that the network cannot learn its training images by heart.
    """

    epochs: int = 15
    batch_size: int = 16
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = 5e-4
    weight_decay: float = 0.05
    schedule: Literal["onecycle", "cosine"] = "onecycle"
    class_weights: bool = True
    label_smoothing: float = 0.1
    ema_decay: float = 0.99
    clip_norm: float = 0.0
    augment: float = 1.5
    patience: int = 0
    threads: int = 2
    tune: int = 0


@dataclass(frozen=True, slots=True)
class CalibrationConfig:
    """The training images that set the activation ranges of integer schemes."""

    images: int = 100
    estimator: str = "minmax"
    choice: str = "random"
    seed: int = 0


@dataclass(frozen=True, slots=True)
class EvaluateConfig:
    """The images that are predicted, and how latency is sampled (each cell in a fresh process).

    ``images``: at most so many images a cell, stratified by split and class; without it every
    image, or the backend's own default where it is slow (a simulator). ``timeout_s`` ends a
    worker that hangs; its cell becomes a row with that reason.
    """

    splits: tuple[Split, ...] = ("val", "test")
    rounds: int = 5
    warmup: int = 5
    samples: int = 10
    images: int | None = None
    timeout_s: float = 21600.0


@dataclass(frozen=True, slots=True)
class EvidenceConfig:
    """Margins and tests, locked in the protocol before the test set is opened.

    Margins are fractions: 0.02 is two points of sensitivity, or 0.02 of AUC. ``threshold``
    says how the decision threshold is chosen on validation; ``sensitivity`` takes the highest
    one with ``required_sensitivity``. ``resamples`` is read for earlier study files: paired tests
    are closed forms now. ``seed`` is of what is still drawn. ``robustness_images``: at most so
    many validation images are made worse to see whether INT8 falls faster than float32; 0 switches
    that off. ``max_missed`` and ``max_alarms`` (``max_wrong`` without a positive class) are the
    shares of positive and of other images that may be answered wrongly: images too near the
    threshold to keep them get no class; 1 withholds none. ``prevalence``: the share of positives
    for which net benefit is stated, that of the images where it is not given.

    ``miss_ratio_margin``: how many times as many positives may be missed as before, since two
    points are 26% missed instead of 24%, and 3% instead of 1%; 0 sets no such margin.
    """

    sensitivity_margin: float = 0.02
    specificity_margin: float = 0.05
    auc_margin: float = 0.02
    miss_ratio_margin: float = 2.0
    threshold: Literal["youden", "sensitivity", "largest"] = "youden"
    required_sensitivity: float = 0.95
    resamples: int = 2000
    seed: int = 0
    robustness_images: int = 96
    max_missed: float = 0.05
    max_alarms: float = 0.2
    max_wrong: float = 0.1
    prevalence: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one device: the median latency, the file, and the memory of a process."""

    latency_ms: float | None = None
    size_bytes: int | None = None
    peak_memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class BudgetConfig:
    """Limits for a recommended variant, locked in the protocol before the test set is opened.

    ``targets`` holds the limits of single targets, which win over the ones above them.
    ``require`` says what the test images must answer: ``not worse`` lets a choice stand that
    too few images can prove, with a warning; ``shown`` does not. ``slower`` and ``larger`` are
    the fractions by which a build may be slower and larger than in an earlier run.

    ``min_auc``, ``min_sensitivity``, ``min_specificity`` (macro means without a positive class)
    and ``min_test_images`` are floors of the float32 reference on test images: below one of them,
    or where the interval of its AUC includes chance, nothing is recommended.

    ``first_reference``: the run of the first release. A gate against the previous one also compares
    with it, so that small losses cannot add up from release to release.
    """

    latency_ms: float | None = None
    size_bytes: int | None = None
    peak_memory_bytes: int | None = None
    require: Literal["not worse", "shown"] = "not worse"
    slower: float = 0.10
    larger: float = 0.01
    min_auc: float = 0.7
    min_sensitivity: float = 0.5
    min_specificity: float = 0.5
    min_test_images: int = 30
    first_reference: str | None = None
    targets: dict[str, Limits] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FloatModelConfig:
    """A model trained elsewhere that enters after ``convert``.

    ``contract``: what is declared of it. ``preprocess``: a file that declares size, range and
    resize as a whole instead.
    """

    file: str
    preprocess: str | None = None
    last_conv: str | None = None
    contract: Declared = field(default_factory=Declared)


@dataclass(frozen=True, slots=True)
class RepeatsConfig:
    """How often the study is repeated to see what one draw hides; 0 repeats nothing.

    ``repeats``: draws of each kind (training seed, split, calibration images), each with all else
    as in the study. ``folds``: redrawn splits are cross-validations of so many folds; 0 draws one
    split with parts as large as the study's.
    """

    repeats: int = 0
    folds: int = 0


@dataclass(frozen=True, slots=True)
class QuantizedModelConfig:
    """A ``.tflite`` that was quantized elsewhere and is judged as it is.

    ``preprocess``: how its images are prepared; its float model's where that is in the study and
    nothing is given. ``classes``: in the file's order; that of the task without them.
    """

    file: str
    preprocess: str | None = None
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Study:
    """The whole resolved configuration of a run, as ``study.toml`` holds it."""

    seed: int = 0
    data: DataConfig = field(default_factory=DataConfig)
    models: tuple[ModelConfig, ...] = ()
    float_model: FloatModelConfig | None = None
    quantized_model: QuantizedModelConfig | None = None
    train: TrainConfig = field(default_factory=TrainConfig)
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)
    schemes: tuple[str, ...] = ("float32", "float16", "dynamic", "int8")
    targets: tuple[str, ...] = ("cpu",)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    evidence: EvidenceConfig = field(default_factory=EvidenceConfig)
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    repeats: RepeatsConfig = field(default_factory=RepeatsConfig)
