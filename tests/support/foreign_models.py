"""Small classifiers in the shapes in which models arrive, written with LiteRT's schema alone.

``network`` is one classifier (brighter images are of the last class); the arguments change what is
foreign about its file. Nothing of ``bedside`` is used, so that tests stay independent of it.
"""

from __future__ import annotations

import io
import zipfile
from typing import Any

import ai_edge_litert.schema_py_generated as s
import flatbuffers
import numpy as np

_TYPES = {"float32": s.TensorType.FLOAT32, "float16": s.TensorType.FLOAT16,
          "int32": s.TensorType.INT32, "int8": s.TensorType.INT8, "uint8": s.TensorType.UINT8}


class Graph:
    """A model under construction; tensors are numbers."""

    def __init__(self, legacy: bool = False) -> None:
        self.tensors, self.operators, self.codes = [], [], []
        self.buffers = [s.BufferT()]
        self.legacy = legacy

    def tensor(self, shape, dtype="float32", name=None, signature=None, values=None) -> int:
        item = s.TensorT()
        item.shape, item.type, item.hasRank = list(shape), _TYPES[dtype], True
        item.name = name if name is not None else f"t{len(self.tensors)}"
        if signature is not None:
            item.shapeSignature = list(signature)
        if values is not None:
            self.buffers.append(s.BufferT(np.ascontiguousarray(values).reshape(-1).view(np.uint8)))
            item.buffer = len(self.buffers) - 1
        self.tensors.append(item)
        return len(self.tensors) - 1

    def constant(self, values, name=None) -> int:
        values = np.asarray(values)
        return self.tensor(values.shape, values.dtype.name, name, values=values)

    def op(self, name, inputs, shape, options=None, dtype="float32", custom=None) -> int:
        code = s.OperatorCodeT()
        number = getattr(s.BuiltinOperator, name)
        code.deprecatedBuiltinCode, code.version = min(number, 127), 1
        code.builtinCode = 0 if self.legacy else number
        code.customCode = custom
        self.codes.append(code)
        operator = s.OperatorT()
        operator.opcodeIndex, operator.inputs = len(self.codes) - 1, list(inputs)
        output = self.tensor(shape, dtype)
        operator.outputs = [output]
        if options is not None:
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(
                s.BuiltinOptions, type(options).__name__.removesuffix("T"))
        self.operators.append(operator)
        return output

    def done(self, inputs, outputs, signatures=()) -> bytes:
        """Pack; ``signatures`` holds (key, {name: input}, {name: output})."""
        graph = s.SubGraphT()
        graph.tensors, graph.operators, graph.name = self.tensors, self.operators, "main"
        graph.inputs, graph.outputs = list(inputs), list(outputs)
        model = s.ModelT()
        model.version, model.subgraphs, model.buffers = 3, [graph], self.buffers
        model.operatorCodes, model.description = self.codes, "made by hand"
        model.signatureDefs = []
        for key, ins, outs in signatures:
            item = s.SignatureDefT()
            item.signatureKey, item.subgraphIndex = key, 0
            item.inputs = [s.TensorMapT(n, t) for n, t in ins.items()]
            item.outputs = [s.TensorMapT(n, t) for n, t in outs.items()]
            model.signatureDefs.append(item)
        builder = flatbuffers.Builder(sum(b.data.size for b in self.buffers[1:]) + 4096)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())


def conv(padding=s.Padding.SAME, stride=1, activation=s.ActivationFunctionType.RELU):
    options = s.Conv2DOptionsT()
    options.padding, options.strideH, options.strideW = padding, stride, stride
    options.dilationHFactor = options.dilationWFactor = 1
    options.fusedActivationFunction = activation
    return options


def softmax(beta=1.0):
    options = s.SoftmaxOptionsT()
    options.beta = beta
    return options


def concatenation(axis):
    options = s.ConcatenationOptionsT()
    options.axis = axis
    return options


class Classifier(Graph):
    """Image (1, px, px, channels) → two (or one) scores by brightness, through a convolution.

    ``scale`` and ``offset`` undo an input range: the first convolution is made for
    ``scale · pixel + offset`` of pixels in [0, 1].
    """

    def __init__(self, px=32, channels=1, padding=s.Padding.VALID, scale=1.0, offset=0.0,
                 half=False, legacy=False, input_shape=None, input_signature=None,
                 input_dtype="float32", weights=None) -> None:
        super().__init__(legacy)
        self.px, self.channels = px, channels
        shape = input_shape or (1, px, px, channels)
        self.image = self.tensor(shape, input_dtype, "args_0", input_signature)
        rng = np.random.default_rng(3)
        mix = np.asarray(weights if weights is not None else [1 / channels] * channels)
        kernel = (np.abs(rng.normal(0.1, 0.05, (4, 3, 3, 1))) * mix / scale).astype(np.float32)
        bias = (0.01 - kernel.sum(axis=(1, 2, 3)) * offset).astype(np.float32)
        self.head = rng.normal(0, 1, (2, 4)).astype(np.float32)
        self.head[1] = self.head[0] + 6
        self.padding, self.half = padding, half
        self.kernel, self.bias, self.scale = kernel, bias, scale

    def scores(self, image=None) -> int:
        """Add the layers behind ``image`` (the input without it); return the logits (1, 2)."""
        image = self.image if image is None else image
        side = self.px if self.padding == s.Padding.SAME else self.px - 2
        kernel = self.constant(self.kernel.astype(np.float16) if self.half else self.kernel, "k")
        if self.half:
            kernel = self.op("DEQUANTIZE", [kernel], self.kernel.shape, s.DequantizeOptionsT())
        features = self.op("CONV_2D", [image, kernel, self.constant(self.bias, "b")],
                           (1, side, side, 4), conv(self.padding))
        pooled = self.op("MEAN", [features, self.constant(np.asarray([1, 2], np.int32))], (1, 4),
                         s.ReducerOptionsT())
        # Grey in the middle of the range scores both alike.
        middle = self.head @ (0.5 * self.scale * self.kernel.sum(axis=(1, 2, 3)) + 0.01)
        return self.op("FULLY_CONNECTED", [pooled, self.constant(self.head, "w"), self.constant(
            (-middle).astype(np.float32), "c")], (1, 2), s.FullyConnectedOptionsT())

    def difference(self, logits) -> int:
        """Return the one logit (1, 1) of two."""
        return self.op("FULLY_CONNECTED", [logits, self.constant(np.asarray([[-1, 1]], np.float32)),
                                           -1], (1, 1), s.FullyConnectedOptionsT())

    def finish(self, output, key="serving_default", name="output_0") -> bytes:
        signatures = [(key, {"args_0": self.image}, {name: output})] if key else []
        return self.done([self.image], [output], signatures)


def network(**foreign: Any) -> bytes:
    """The classifier with logits (1, 2), named as exporters do."""
    net = Classifier(**foreign)
    return net.finish(net.scores())


def integers(scale: bool) -> bytes:
    """A full-integer classifier, with or without the parameters that give it a meaning."""
    graph = Graph()
    image = graph.tensor((1, 8, 8, 1), "int8", "image")
    pooled = graph.op("MEAN", [image, graph.constant(np.asarray([1, 2], np.int32))], (1, 1),
                      s.ReducerOptionsT(), "int8")
    output = graph.op("FULLY_CONNECTED", [pooled, graph.constant(np.ones((2, 1), np.int8)), -1],
                      (1, 2), s.FullyConnectedOptionsT(), "int8")
    if scale:
        for tensor in graph.tensors:
            if tensor.type == s.TensorType.INT8:
                tensor.quantization = s.QuantizationParametersT()
                tensor.quantization.scale, tensor.quantization.zeroPoint = [0.1], [0]
    return graph.done([image], [output], [("serving_default", {"x": image}, {"y": output})])


def packed(model: bytes, labels: str, name: str = "labels.txt") -> bytes:
    """The model with a labels file appended, as TensorFlow Lite's metadata writer does."""
    out = io.BytesIO(model)
    out.seek(0, io.SEEK_END)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr(name, labels)
    return out.getvalue()


def vgg16(px: int = 224) -> bytes:
    """VGG16 of the paper (last pool removed, GAP + FC) with random weights: 59 MB."""
    rng, graph = np.random.default_rng(0), Graph()
    tensor = image = graph.tensor((1, px, px, 1), name="x")
    side, before = px, 1
    for block, (layers, width) in enumerate(((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))):
        for _ in range(layers):
            kernel = (rng.standard_normal((width, 3, 3, before), np.float32)
                      * np.float32(np.sqrt(2 / (9 * before))))
            tensor = graph.op("CONV_2D", [tensor, graph.constant(kernel), graph.constant(
                np.zeros(width, np.float32))], (1, side, side, width), conv())
            before = width
        if block < 4:
            side //= 2
            pool = s.Pool2DOptionsT()
            pool.strideH = pool.strideW = pool.filterHeight = pool.filterWidth = 2
            pool.padding = s.Padding.VALID
            tensor = graph.op("MAX_POOL_2D", [tensor], (1, side, side, width), pool)
    tensor = graph.op("MEAN", [tensor, graph.constant(np.asarray([1, 2], np.int32))], (1, before),
                      s.ReducerOptionsT())
    tensor = graph.op("FULLY_CONNECTED", [tensor, graph.constant(
        rng.standard_normal((2, before), np.float32)), graph.constant(np.zeros(2, np.float32))],
        (1, 2), s.FullyConnectedOptionsT())
    output = graph.op("SOFTMAX", [tensor], (1, 2), softmax())
    return graph.done([image], [output], [("serving_default", {"x": image}, {"y": output})])
