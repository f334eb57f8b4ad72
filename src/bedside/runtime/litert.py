"""LiteRT on this machine's CPU: the only module that runs a ``.tflite``."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bedside.core.errors import BadInput

Array = npt.NDArray[Any]
LOGITS = "logits"
CAM = "cam"
SIGNATURE = "serving_default"


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hide what native code prints to file descriptor 2 (delegate notices)."""
    saved = os.dup(2)
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(sink)


@dataclass(frozen=True, slots=True)
class TensorFacts:
    """Name, shape and affine quantization of an input or output."""

    name: str
    index: int
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int


class AnyModel:
    """A loaded ``.tflite`` of any inputs and outputs; only time and placement are asked of it.

    Args:
        path: the ``.tflite``.
        threads: CPU threads.
        preserve_all: keep every intermediate tensor readable (switches some fusion off).
        delegate: False runs LiteRT's own kernels, without XNNPACK.
        reference: the plain reference kernels instead, which are slow and the arithmetic that
            others are held to.
        content: the file's bytes, where they were checked already; ``path`` then only names them.

    Raises:
        BadInput: the model does not load, or a side of an input is left open (an open batch
            becomes 1).
    """

    _VERB = "load"

    def __init__(self, path: Path, threads: int = 2, *, preserve_all: bool = False,
                 delegate: bool = True, reference: bool = False,
                 content: bytes | None = None) -> None:
        # Imported late: importing the package must not cost a device its cold start.
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self.path = path
        if content is None and not path.is_file():
            raise BadInput("no such file", where=path, remedy="Check the path.")
        resolver = (OpResolverType.BUILTIN_REF if reference
                    else OpResolverType.AUTO if delegate
                    else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
        try:
            with quiet_stderr(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # preserve_all warns that it needs memory
                self._interpreter = Interpreter(
                    model_path=str(path) if content is None else None,
                    model_content=content, num_threads=threads,
                    experimental_op_resolver_type=resolver,
                    experimental_preserve_all_tensors=preserve_all)
                self._fix_batch()
                self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise _refusal(error, path, self._VERB) from None
        self.inputs = tuple(_facts(d) for d in self._interpreter.get_input_details())
        self._filled = False

    def _fix_batch(self) -> None:
        for detail in self._interpreter.get_input_details():
            signature = [int(v) for v in detail["shape_signature"]]
            if -1 in signature[1:]:
                raise BadInput(f"the shape {signature} of input {detail['name']!r} is left open",
                               where=self.path, remedy="Export it with fixed sides and batch 1.")
            if signature and signature[0] == -1:
                self._interpreter.resize_tensor_input(
                    detail["index"], [1, *[int(v) for v in detail["shape"][1:]]])

    def run(self, image: npt.NDArray[np.float32]) -> Mapping[str, npt.NDArray[np.float32]]:
        """Run once on inputs of seeded random values, whatever ``image`` is; reads no output."""
        del image
        if not self._filled:
            rng = np.random.default_rng(0)
            for facts in self.inputs:
                self._interpreter.set_tensor(facts.index, _random(rng, facts, self.path))
            self._filled = True
        self._interpreter.invoke()
        return {}

    def outputs_of(self, inputs: Sequence[Array]) -> list[Array]:
        """Run once; arrays in the order of the graph's inputs in, in that of its outputs out."""
        for facts, values in zip(self.inputs, inputs, strict=True):
            self._interpreter.set_tensor(facts.index, values)
        self._interpreter.invoke()
        return [np.asarray(self._interpreter.get_tensor(d["index"]))
                for d in self._interpreter.get_output_details()]

    def invoke(self) -> None:
        """Run again on the input that is set, reading nothing (for latency)."""
        self._interpreter.invoke()

    def tensor(self, index: int) -> Array:
        """Return an intermediate tensor in its own dtype (needs ``preserve_all``)."""
        return np.asarray(self._interpreter.get_tensor(index))

    def executed(self) -> list[dict[str, Any]]:
        """Return operations in LiteRT's order, delegate partitions last, as ``DELEGATE``."""
        return list(self._interpreter._get_ops_details())


class LiteRTModel(AnyModel):
    """A loaded classifier: real-valued image in, real-valued outputs by name out.

    Integer inputs and outputs are quantized and dequantized here with the parameters in the
    file, so callers never see them. Arguments as those of :class:`AnyModel`.

    Raises:
        BadInput: the model does not load, or its inputs and outputs do not fit: one image
            input of four dimensions, and either an output ``logits`` or a single output.
    """

    def __init__(self, path: Path, threads: int = 2, *, preserve_all: bool = False,
                 delegate: bool = True, reference: bool = False,
                 content: bytes | None = None) -> None:
        super().__init__(path, threads, preserve_all=preserve_all, delegate=delegate,
                         reference=reference, content=content)
        self.input = self._check_input()
        self.outputs = self._check_outputs()

    def _check_input(self) -> TensorFacts:
        details = self._interpreter.get_input_details()
        if len(details) != 1:
            raise BadInput(f"the model has {len(details)} inputs; one image is needed",
                           where=self.path, remedy="Export it with a single image input.")
        facts = _facts(details[0])
        shape = facts.shape
        if len(shape) != 4 or shape[0] != 1 or min(shape) < 1 or shape[3] not in (1, 3):
            raise BadInput(f"the input's shape is {list(shape)}; (1, H, W, C) with C 1 or 3 is "
                           "needed", where=self.path,
                           remedy="Export it channels last with batch 1.")
        self._check_scale(facts, "input")
        return facts

    def _check_outputs(self) -> dict[str, TensorFacts]:
        details = {int(d["index"]): _facts(d) for d in self._interpreter.get_output_details()}
        names = {d.name: d for d in details.values()}
        signatures = self._interpreter._get_full_signature_list()
        if signatures:
            outputs = next(iter(signatures.values()))["outputs"]
            names = {n: details[i] for n, i in outputs.items() if i in details}
        if LOGITS not in names:
            if len(names) != 1:
                raise BadInput(f"the model has {len(names)} outputs and none is named 'logits'",
                               where=self.path, remedy="Export it with one logits output.")
            names = {LOGITS: next(iter(names.values()))}
        shape = names[LOGITS].shape
        if len(shape) != 2 or shape[0] != 1 or shape[1] < 2:
            raise BadInput(f"the logits' shape is {list(shape)}; (1, K) with K of 2 or more "
                           "is needed", where=self.path, remedy="Export it with one row of logits.")
        self._check_scale(names[LOGITS], "logits")
        return names

    def _check_scale(self, facts: TensorFacts, kind: str) -> None:
        if facts.dtype != "float32" and facts.scale <= 0:
            raise BadInput(f"the {kind} are {facts.dtype} numbers without a scale, so their "
                           "meaning is unknown" if kind != "input" else
                           f"the input is {facts.dtype} without a scale, so its range is unknown",
                           where=self.path,
                           remedy="Export it with float32 or quantized inputs and outputs.")

    @property
    def classes(self) -> int:
        """Number of logits."""
        return self.outputs[LOGITS].shape[1]

    def run(self, image: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        """Run one image, (1, H, W, C) float32, to real-valued outputs by name."""
        self._interpreter.set_tensor(self.input.index, _quantize(image, self.input))
        self._interpreter.invoke()
        return {name: _dequantize(self._interpreter.get_tensor(facts.index), facts)
                for name, facts in self.outputs.items()}


class RawModel(AnyModel):
    """A model of one input, run as it is: one array in, tensors by number out.

    Args:
        content: the file's bytes.
        where: its name, for messages.
        shape: the shape to give the single input.
        preserve_all: keep every intermediate tensor readable (slower).

    Raises:
        BadInput: the model does not load or does not run with this shape.
    """

    _VERB = "run"

    def __init__(self, content: bytes, where: str, shape: tuple[int, ...], *,
                 preserve_all: bool = False) -> None:
        self._shape = shape
        super().__init__(Path(where), preserve_all=preserve_all, delegate=not preserve_all,
                         content=content)

    def _fix_batch(self) -> None:
        detail = self._interpreter.get_input_details()[0]
        if tuple(detail["shape"]) != self._shape:
            self._interpreter.resize_tensor_input(detail["index"], self._shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the input."""
        kind: np.dtype[Any] = np.dtype(self.inputs[0].dtype)
        return kind

    def feed(self, values: Array) -> None:
        """Run one input of the model's shape; it is cast to the model's type."""
        try:
            self._interpreter.set_tensor(self.inputs[0].index,
                                         values.astype(self.dtype, copy=False))
            with quiet_stderr():
                self._interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            raise _refusal(error, self.path, self._VERB) from None

    def tensor(self, index: int) -> Array:
        """Return a copy of a tensor after the run."""
        return np.array(super().tensor(index))

    def shape(self, index: int) -> tuple[int, ...] | None:
        """Return a tensor's shape after the run; None where it has no values."""
        try:
            return tuple(int(v) for v in super().tensor(index).shape)
        except (RuntimeError, ValueError):
            return None


def _refusal(error: Exception, path: Path, verb: str) -> BadInput:
    # LiteRT's message is empty where memory for the tensors was refused.
    first = (str(error).strip() or "it gave no reason; often there is too little memory"
             ).splitlines()[0][:160]
    return BadInput(f"LiteRT cannot {verb} the model ({first})", where=path,
                    remedy="Give a complete .tflite of LiteRT operations.")


def predict(model: bytes, images: Iterable[npt.NDArray[np.float32]]
            ) -> tuple[npt.NDArray[np.float32], list[float]]:
    """Return the logits (n, K) of images (1, H, W, C) by a ``.tflite``, and each one's ms."""
    loaded = LiteRTModel(Path("model.tflite"), content=model)
    rows, times = [], []
    for image in images:
        start = time.perf_counter()
        rows.append(loaded.run(image)[LOGITS][0].copy())
        times.append(1e3 * (time.perf_counter() - start))
    return np.asarray(rows, np.float32), times


def reference_model(path: Path, threads: int = 1) -> LiteRTModel:
    """Return a model on LiteRT's reference kernels."""
    return LiteRTModel(path, threads, reference=True)


def _facts(detail: dict[str, Any]) -> TensorFacts:
    scale, zero_point = detail["quantization"]
    return TensorFacts(detail["name"], int(detail["index"]),
                       tuple(int(v) for v in detail["shape"]),
                       np.dtype(detail["dtype"]).name, float(scale), int(zero_point))


def _random(rng: np.random.Generator, facts: TensorFacts, path: Path) -> Array:
    """Return values for an input that only has to be there: [0, 1), any byte, zeros."""
    dtype = np.dtype(facts.dtype)
    if dtype.kind == "f":
        return rng.random(facts.shape, np.float32).astype(dtype)
    if dtype.itemsize == 1 and dtype.kind in "iu":
        return rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, facts.shape, dtype,
                            endpoint=True)
    if dtype.kind in "iub":
        # Indices and counts: 0 is valid wherever one is.
        return np.zeros(facts.shape, dtype)
    raise BadInput(f"the input {facts.name!r} takes {facts.dtype}", where=path,
                   remedy="Give a model of numbers.")


def _quantize(values: npt.NDArray[np.float32], facts: TensorFacts) -> Array:
    if facts.dtype == "float32":
        return values
    limits = np.iinfo(facts.dtype)
    steps = np.rint(values / facts.scale) + facts.zero_point
    clipped: Array = np.clip(steps, limits.min, limits.max).astype(facts.dtype)
    return clipped


def _dequantize(values: Array, facts: TensorFacts) -> npt.NDArray[np.float32]:
    if facts.dtype == "float32":
        return values.astype(np.float32, copy=False)
    real: npt.NDArray[np.float32] = (
        (values.astype(np.float32) - facts.zero_point) * np.float32(facts.scale))
    return real
