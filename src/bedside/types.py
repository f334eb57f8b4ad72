"""The frozen dataclasses that travel between stages. No logic lives here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Split = Literal["train", "val", "test", "set_aside"]
Status = Literal["ok", "unsupported", "failed"]
Evidence = Literal["measured", "emulated", "simulated", "estimated"]
Quantity = Literal["accuracy", "latency", "memory"]


# ------------------------------------------------------------------ data


@dataclass(frozen=True, slots=True)
class Case:
    """One labelled image. ``file`` and ``masks`` are relative to the dataset's root."""

    id: str
    file: str
    label: str
    patient: str | None = None
    group: str = ""
    split: Split = "set_aside"
    height_px: int = 0
    width_px: int = 0
    sha256: str = ""
    flags: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    age: float | None = None
    size_mm: float | None = None
    device: str | None = None


@dataclass(frozen=True, slots=True)
class SetAside:
    """An input that is not used, and why; part of the flow of cases."""

    file: str
    reason: str


@dataclass(frozen=True, slots=True)
class Task:
    """What the network decides. In a binary task the positive class comes last."""

    classes: tuple[str, ...]
    positive: str | None = None
    exclude: tuple[str, ...] = ()
    merge: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How an image becomes a tensor: (paper, Section 4.1) resize, then divide by the maximum.

    ``normalise``: ``max`` divides by the resized image's own maximum, ``dtype`` by the
    largest value of the stored integer type (255 or 65535). ``mean`` and ``std`` are applied
    after it, one number a channel, for models trained elsewhere.
    """

    height_px: int = 224
    width_px: int = 224
    channels: int = 1
    resize: Literal["bilinear"] = "bilinear"
    normalise: Literal["max", "dtype"] = "max"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


@dataclass(frozen=True, slots=True)
class DeidConfig:
    """How a folder is de-identified.

    ``options`` of the profile: ``modified-dates``, ``retain-device``. ``pixels``: ``check``
    searches every image for text, takes it out of DICOM and sets pictures that hold some apart;
    ``clean`` takes it out of pictures too; ``unchecked`` does not search.
    ``keep_names`` are folder names that stay, ``keep_columns`` columns of a CSV besides those
    that bedside reads.
    """

    options: tuple[str, ...] = ()
    pixels: Literal["check", "clean", "unchecked"] = "check"
    keep_names: tuple[str, ...] = ("benign", "malignant", "normal", "train", "val", "test")
    keep_columns: tuple[str, ...] = ()


# ------------------------------------------------------------------ study configuration


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
    """Where the images come from and how they become cases of a task.

    ``frames``: which frames of a multi-frame DICOM file become cases (``middle`` is frame
    (n + 1) // 2 of n, counted from 1). ``label_tag``: the DICOM element whose value is the
    label, as a keyword or ``(gggg,eeee)``; without it folders or a CSV give the labels.
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
    """Which training images set the activation ranges of integer schemes."""

    images: int = 100
    estimator: str = "minmax"
    choice: str = "random"
    seed: int = 0


@dataclass(frozen=True, slots=True)
class EvaluateConfig:
    """What is predicted and how latency is sampled (each cell in a fresh process).

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
    """What counts as proof, set before the run.

    Margins are fractions: 0.02 is two points of sensitivity, or 0.02 of AUC. ``threshold``
    says how the decision threshold is chosen on validation; ``sensitivity`` takes the highest
    one with ``required_sensitivity``. ``resamples`` and ``seed`` are of the bootstrap over
    patients. ``robustness_images``: at most so many validation images are made worse to see
    whether INT8 falls faster than float32; 0 switches that off.
    """

    sensitivity_margin: float = 0.02
    auc_margin: float = 0.02
    threshold: Literal["youden", "sensitivity", "largest"] = "youden"
    required_sensitivity: float = 0.95
    resamples: int = 2000
    seed: int = 0
    robustness_images: int = 48


@dataclass(frozen=True, slots=True)
class Limits:
    """What one device allows: the median latency, the file, and the memory of a process."""

    latency_ms: float | None = None
    size_bytes: int | None = None
    peak_memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class BudgetConfig:
    """What a recommended variant must keep, set before the run.

    ``targets`` holds the limits of single targets, which win over the ones above them.
    ``require`` says what the test images must answer: ``not worse`` lets a choice stand that
    too few images can prove, with a warning; ``shown`` does not. ``slower`` and ``larger`` are
    the fractions by which a build may be slower and larger than in an earlier run.
    """

    latency_ms: float | None = None
    size_bytes: int | None = None
    peak_memory_bytes: int | None = None
    require: Literal["not worse", "shown"] = "not worse"
    slower: float = 0.10
    larger: float = 0.01
    targets: dict[str, Limits] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FloatModelConfig:
    """A model trained elsewhere that enters after ``convert``."""

    file: str
    preprocess: str | None = None
    last_conv: str | None = None


@dataclass(frozen=True, slots=True)
class Study:
    """The whole resolved configuration of a run, as ``study.toml`` holds it."""

    seed: int = 0
    data: DataConfig = field(default_factory=DataConfig)
    models: tuple[ModelConfig, ...] = ()
    float_model: FloatModelConfig | None = None
    train: TrainConfig = field(default_factory=TrainConfig)
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)
    schemes: tuple[str, ...] = ("float32", "float16", "dynamic", "int8")
    targets: tuple[str, ...] = ("cpu",)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    evidence: EvidenceConfig = field(default_factory=EvidenceConfig)
    budget: BudgetConfig = field(default_factory=BudgetConfig)


# ------------------------------------------------------------------ models, variants, builds


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A network as a stage folder describes it. ``last_conv`` names a tensor of float.tflite.

    ``parent`` is the model that this one was made from without training (equalization, bias
    correction).
    """

    id: str
    name: str
    preprocess: Preprocess
    task: Task
    config: ModelConfig | None = None
    last_conv: str | None = None
    parameters: int = 0
    origin: Literal["trained", "external"] = "trained"
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Scheme:
    """A quantization scheme; ``options`` are what may follow its name after a ``+``.

    ``steps`` counts the decisions beyond a plain conversion that someone must understand and
    repeat; a recommendation prefers fewer.
    """

    name: str
    weights: str
    activations: str
    needs_calibration: bool
    summary: str
    options: dict[str, str] = field(default_factory=dict)
    steps: int = 0


@dataclass(frozen=True, slots=True)
class Variant:
    """A model and a scheme, written as one ``.tflite``."""

    id: str
    model: str
    scheme: str
    file: str
    sha256: str
    size_bytes: int
    input_dtype: str
    output_dtype: str
    task: Task
    preprocess: Preprocess
    parent: str | None = None
    options: tuple[str, ...] = ()
    last_conv: str | None = None
    calibration: str | None = None
    ops_by_dtype: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one operation of a build runs; why not on the accelerator, and what would help."""

    index: int
    op: str
    name: str
    runs_on: str
    reason: str | None = None
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Build:
    """What one target really runs for a variant, or why there is nothing to run.

    ``files``: path in the build's folder to SHA-256; ``main`` is the one that the runner opens
    (empty: the first). ``measures``: what running it here tells; the other quantities come from
    ``latency_ms`` and ``facts`` (a compiler's or a model's figures) or are null with
    ``latency_note``. ``evidence`` overrides the backend's own, by quantity.
    ``sampling``: (rounds, warm-up, samples) in place of the study's, for a latency that only
    shows that the build runs.
    """

    variant: str
    target: str
    format: str
    files: dict[str, str]
    quantizer: str
    delegated_fraction: float | None = None
    partitions: int | None = None
    placement: tuple[Placement, ...] = ()
    compute_dtype: str | None = None
    status: Status = "ok"
    reason: str | None = None
    main: str = ""
    measures: tuple[Quantity, ...] = ("accuracy", "latency", "memory")
    evidence: dict[str, Evidence] = field(default_factory=dict)
    latency_ms: Latency | None = None
    latency_note: str | None = None
    sampling: tuple[int, int, int] | None = None
    facts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Roofline:
    """A processor that is not here, for the backend ``estimate``.

    ``peak_gmacs``: 10⁹ multiply-accumulates a second by arithmetic format. ``runs_as``: format
    of an operation in the file (``float32``, ``float32×int8``, ``int8``) to the arithmetic that
    computes it; a format that is missing is not supported. ``on_chip_bytes``: activations of an
    operation up to this size do not travel to memory. ``published``: the device of the rows that
    the efficiency is fitted to; without rows ``assumed_efficiency`` holds and the estimate says
    that it is unfitted. ``sources``: where the figures are from.
    """

    unit: Literal["cpu", "gpu", "npu"]
    peak_gmacs: dict[str, float]
    bandwidth_gbs: float
    launch_us: float = 0.0
    on_chip_bytes: int = 0
    published: str = ""
    assumed_efficiency: float = 0.3
    runs_as: dict[str, str] = field(default_factory=dict)
    sources: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """A device and the backend that reaches it; ``options`` are the backend's own."""

    id: str
    backend: str
    threads: int = 2
    profile: str | None = None
    description: str = ""
    options: dict[str, str] = field(default_factory=dict)
    roofline: Roofline | None = None


# ------------------------------------------------------------------ measurements


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95% interval; ``value`` is null with a ``reason`` where undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds an image at batch 1. The raw samples lie in ``latency.csv``.

    A figure that no clock gave has ``n`` 0 and no ``p95``.
    """

    median: float
    p95: float | None
    n: int
    threads: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """How the logits of a build agree with those of another model on this machine's CPU.

    ``rmse`` over all logits of ``n`` images; ``logit_range`` is largest minus smallest of the
    CPU's; ``changed`` counts images whose class differs.
    """

    n: int
    changed: int
    rmse: float
    logit_range: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """One cell of the matrix: a variant on a target.

    ``images`` of ``images_total`` were predicted: a slow target takes a stratified sample.
    ``facts`` are a compiler's or a model's figures by name, with the unit in the name.
    """

    variant: str
    model: str
    scheme: str
    target: str
    status: Status
    reason: str | None = None
    evidence: dict[str, Evidence] = field(default_factory=dict)
    compute_dtype: str | None = None
    size_bytes: int = 0
    latency_ms: Latency | None = None
    peak_memory_bytes: int | None = None
    delegated_fraction: float | None = None
    build: str | None = None
    variant_sha256: str | None = None
    predictions: str | None = None
    metrics: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    machine: dict[str, str] = field(default_factory=dict)
    latency_note: str | None = None
    partitions: int | None = None
    quantizer: str | None = None
    images: int = 0
    images_total: int = 0
    agreement: Agreement | None = None
    agreement_float32: Agreement | None = None
    facts: dict[str, float] = field(default_factory=dict)


# ------------------------------------------------------------------ decisions


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """When an image is called positive, chosen on validation images.

    An image is positive where its log-odds (positive logit minus the other) are at least
    ``threshold_log_odds``. ``threshold`` is the same as a softmax probability, and
    ``threshold_calibrated`` as a probability after dividing the logits by ``temperature``.
    ``rule`` is how it was chosen; ``reason`` says why it is not the rule that was asked for.
    Without a positive class the largest logit decides and the thresholds are null.
    """

    rule: str
    n: int
    threshold_log_odds: float | None = None
    threshold: float | None = None
    temperature: float | None = None
    threshold_calibrated: float | None = None
    reason: str | None = None
    temperature_reason: str | None = None


@dataclass(frozen=True, slots=True)
class OperatingPoints:
    """``operating_point.json`` of a model.

    ``locked`` is the reference's (float32), which every variant is tested with; ``cells`` are
    each cell's own, chosen again.
    """

    schema: int
    model: str
    positive: str | None
    reference: str | None = None
    locked: OperatingPoint | None = None
    cells: dict[str, OperatingPoint] = field(default_factory=dict)
