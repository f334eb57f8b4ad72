"""QNN context of a compiled ``.tflite``: extract, wrap for the simulator, run.

The compiled file holds one DISPATCH_OP whose options (a FlexBuffer) say where in the file the
context lies. An ONNX ``EPContext`` node around the same bytes is what Qualcomm's provider for
ONNX Runtime loads, so the simulator runs the very artefact that the phone gets.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bedside.core.errors import BadInput, Unsupported
from bedside.runtime.graph import Graph, Operation, Tensor, custom_options, read_graph
from bedside.runtime.litert import LOGITS
from bedside.targets import ort

DISPATCH = "DISPATCH_OP"
SOC = "bedside.soc"
OPSET = 17
IR_VERSION = 10
_WHERE = "Compile it again."


@dataclass(frozen=True, slots=True)
class Context:
    """A context binary with the tensors that go in and come out, in the order of the call."""

    binary: bytes
    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def dispatched(graph: Graph) -> tuple[Operation, ...]:
    """Return the operations of a compiled file that the NPU runs, one per partition."""
    return tuple(o for o in graph.operations if o.op == DISPATCH)


def extract(file: Path) -> Context:
    """Return the context of a compiled ``.tflite``.

    Raises:
        Unsupported: it is not one partition that holds the whole graph.
        BadInput: the place it names does not lie in the file.
    """
    from flatbuffers import flexbuffers

    graph = read_graph(file)
    calls = dispatched(graph)
    if len(calls) != 1 or len(graph.operations) != 1:
        raise Unsupported(f"the NPU runs the graph in {len(calls)} partitions with "
                          f"{len(graph.operations) - len(calls)} operations left on the CPU")
    try:
        options = flexbuffers.Loads(custom_options(graph, calls[0]))
        start, size = int(options["bytecode_offset"]), int(options["bytecode_size"])
        name = str(options["name"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise BadInput(f"the compiled file has no context ({type(error).__name__})", where=file,
                       remedy=_WHERE) from None
    data = file.read_bytes()
    if size < 1 or start < 0 or start + size > len(data):
        raise BadInput("the context lies outside the compiled file", where=file, remedy=_WHERE)
    tensors = graph.tensors
    return Context(data[start:start + size], name,
                   tuple(tensors[i] for i in calls[0].inputs),
                   tuple(tensors[i] for i in calls[0].outputs))


def wrap(context: Context, soc: str, out: Path) -> None:
    """Write the context as an ONNX model of one ``EPContext`` node.

    The chip's number goes into the model's metadata, where :class:`Simulator` reads it.
    """
    from onnx import TensorProto, helper, save

    kinds = {"float32": TensorProto.FLOAT, "int8": TensorProto.INT8, "int16": TensorProto.INT16,
             "uint8": TensorProto.UINT8, "int32": TensorProto.INT32}

    def info(tensor: Tensor) -> Any:
        if tensor.dtype not in kinds:
            raise Unsupported(f"an input or output has the unsupported type {tensor.dtype}")
        return helper.make_tensor_value_info(tensor.name, kinds[tensor.dtype], tensor.shape)

    node = helper.make_node(
        "EPContext", [t.name for t in context.inputs], [t.name for t in context.outputs],
        domain="com.microsoft", embed_mode=1, main_context=1, source=ort.QNN,
        partition_name=context.name, ep_cache_context=context.binary)
    graph = helper.make_graph([node], context.name, [info(t) for t in context.inputs],
                              [info(t) for t in context.outputs])
    model = helper.make_model(graph, ir_version=IR_VERSION, opset_imports=[
        helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)])
    helper.set_model_props(model, {SOC: soc})
    save(model, str(out))


def soc_of(path: Path) -> str:
    """Return the chip number that :func:`wrap` wrote.

    Raises:
        BadInput: not such a file.
    """
    import onnx

    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:
        # protobuf's decoding errors share no public base class with the rest.
        raise BadInput(f"not an ONNX model ({type(error).__name__})", where=path,
                       remedy=_WHERE) from None
    found = {p.key: p.value for p in model.metadata_props}
    if SOC not in found:
        raise BadInput("no chip is named", where=path, remedy=_WHERE)
    return str(found[SOC])


class Simulator:
    """A compiled build on Qualcomm's simulator: real-valued image in, logits out.

    Integer inputs and outputs are quantized and dequantized with the parameters of the variant's
    own file, which lies beside it.

    Args:
        path: what :func:`wrap` wrote, with the variant's ``model.tflite`` beside it.
        threads: not used; the simulator takes one.

    Raises:
        BadInput: it does not load.
        MissingComponent: Qualcomm's provider is not installed.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        del threads
        self._session = ort.simulator_session(path, soc_of(path))
        graph = read_graph(path.with_name(MODEL))
        (self._input,) = (graph.tensors[i] for i in graph.inputs)
        names = {graph.tensors[i].name: n for n, i in graph.output_names.items()}
        self._outputs = {t.name: (LOGITS if len(graph.outputs) == 1 else names[t.name], t)
                         for t in (graph.tensors[i] for i in graph.outputs)}

    def run(self, image: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        """Run one image, (1, H, W, C) float32, to real-valued outputs by name."""
        found = ort.outputs(self._session, {self._input.name: quantize(image, self._input)})
        return {self._outputs[name][0]: dequantize(values, self._outputs[name][1])
                for name, values in found.items()}


MODEL = "model.tflite"


def quantize(values: npt.NDArray[np.float32], tensor: Tensor) -> npt.NDArray[Any]:
    """Return real values in a tensor's own type (round to nearest, Jacob et al. 2018)."""
    if tensor.quantization is None:
        return values.astype(tensor.dtype)
    limits = np.iinfo(tensor.dtype)
    steps = (np.rint(values / tensor.quantization.scales[0])
             + int(tensor.quantization.zero_points[0]))
    clipped: npt.NDArray[Any] = np.clip(steps, limits.min, limits.max).astype(tensor.dtype)
    return clipped


def dequantize(values: npt.NDArray[Any], tensor: Tensor) -> npt.NDArray[np.float32]:
    """Return a tensor's own values as real numbers."""
    if tensor.quantization is None:
        return values.astype(np.float32)
    steps = values.astype(np.float32) - np.float32(tensor.quantization.zero_points[0])
    real: npt.NDArray[np.float32] = steps * np.float32(tensor.quantization.scales[0])
    return real
