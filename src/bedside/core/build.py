"""Types of models, schemes, variants, targets, builds and measurements."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bedside.core.study import ModelConfig
from bedside.core.types import Estimate, Evidence, Preprocess, Quantity, Status, Task


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A network as a stage folder describes it. ``last_conv`` names a tensor of float.tflite.

    ``origin`` ``quantized``: a file quantized elsewhere whose float model is not known; the folder
    holds none. ``parent`` is the model that this one was made from without training
    (equalization, bias correction).
    """

    id: str
    name: str
    preprocess: Preprocess
    task: Task
    config: ModelConfig | None = None
    last_conv: str | None = None
    parameters: int = 0
    origin: Literal["trained", "external", "quantized"] = "trained"
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Scheme:
    """A quantization scheme; ``options`` are what may follow its name after a ``+``.

    ``weights`` and ``activations`` are the formats that every layer of a variant holds: what
    ``schemes/postcondition.py`` compares a written file with. ``io``: by option, the format of
    input and outputs, which are float32 without it. ``steps`` counts the decisions beyond a plain
    conversion that someone must understand and repeat; a recommendation prefers fewer.
    """

    name: str
    weights: str
    activations: str
    needs_calibration: bool
    summary: str
    options: dict[str, str] = field(default_factory=dict)
    steps: int = 0
    io: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Variant:
    """A model and a scheme, written as one ``.tflite``.

    One that is not what its scheme promises is ``failed`` with a ``reason`` and has no file;
    ``sha256`` and ``size_bytes`` are then of the file that was refused, where there was one.
    """

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
    status: Status = "ok"
    reason: str | None = None

    @property
    def scheme_id(self) -> str:
        """The scheme with its options, as in the id: ``int8+io8``."""
        return "+".join([self.scheme, *self.options])


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one operation of a build runs; if not on the accelerator, why, and the remedy."""

    index: int
    op: str
    name: str
    runs_on: str
    reason: str | None = None
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Build:
    """The files that one target runs for a variant, or the reason why there are none.

    ``files``: path in the build's folder to SHA-256; ``main`` is the one that the runner opens
    (empty: the first). ``measures``: what running it here tells; the other quantities come from
    ``latency_ms`` and ``facts`` (a compiler's or a model's figures) or are null with
    ``latency_note``. ``evidence`` overrides the backend's own, by quantity.
    ``runner``: the lazy name of what opens it, in place of the backend's own.
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
    runner: str | None = None
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
    """Agreement of a build's logits with those of another model on this machine's CPU.

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
    ``build_key``: of the build that was measured; ``timeout_s``: the seconds a failed cell was
    given. ``facts`` are a compiler's or a model's figures by name, with the unit in the name.
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
    build_key: str | None = None
    timeout_s: float | None = None
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
