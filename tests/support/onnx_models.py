"""Small ONNX classifiers, written node by node."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper


def constant(name, values):
    return numpy_helper.from_array(np.asarray(values), name)


def node(kind, inputs, output, **attributes):
    return helper.make_node(kind, inputs.split(), [output], name=f"{kind}_{output}", **attributes)


def model(nodes, constants=(), shape=(1, 3, 12, 10), outputs=("y",), opset=17, inputs=("x",),
          kind=TensorProto.FLOAT):
    """A model of float inputs and outputs of any shape."""
    graph = helper.make_graph(
        list(nodes), "g", [helper.make_tensor_value_info(n, kind, shape) for n in inputs],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs],
        list(constants))
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    made.ir_version = 8
    return made


def weights(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 0.5, shape).astype(np.float32)


def classifier(shape=(1, 3, 12, 10), **more):
    """Convolution, ReLU, global average, dense layer."""
    return model(
        [node("Conv", "x w b", "c", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
         node("Relu", "c", "r"), node("GlobalAveragePool", "r", "g"), node("Flatten", "g", "f"),
         node("Gemm", "f fw fb", "y", transB=1)],
        [constant("w", weights(4, 3, 3, 3)), constant("b", weights(4)),
         constant("fw", weights(2, 4)), constant("fb", weights(2))], shape, **more)
