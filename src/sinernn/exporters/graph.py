"""Build a graph of ONNX from arithmetic; needs the package onnx."""

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from sinernn.exporters.portable import MARK

OPSET, IR_VERSION = 17, 8  # of 2022: runtimes of that year and later read it


class Value:
    """A value in a graph: arithmetic with it appends nodes, also that of `Cell.forward`."""

    def __init__(self, graph: "Graph", name: str) -> None:
        self._graph, self.name, self.dtype = graph, name, graph.dtype

    def tanh(self) -> "Value":
        """Return the hyperbolic tangent."""
        return self._graph.add("Tanh", self)

    def exp(self) -> "Value":
        """Return the exponential."""
        return self._graph.add("Exp", self)

    def relu(self) -> "Value":
        """Return max(x, 0)."""
        return self._graph.add("Relu", self)

    def __add__(self, other: Any) -> "Value":
        return self._graph.add("Add", self, other)

    def __radd__(self, other: Any) -> "Value":
        return self._graph.add("Add", other, self)

    def __sub__(self, other: Any) -> "Value":
        return self._graph.add("Sub", self, other)

    def __rsub__(self, other: Any) -> "Value":
        return self._graph.add("Sub", other, self)

    def __mul__(self, other: Any) -> "Value":
        return self._graph.add("Mul", self, other)

    def __rmul__(self, other: Any) -> "Value":
        return self._graph.add("Mul", other, self)

    def __truediv__(self, other: Any) -> "Value":
        return self._graph.add("Div", self, other)

    def __rtruediv__(self, other: Any) -> "Value":
        return self._graph.add("Div", other, self)

    def __matmul__(self, other: Any) -> "Value":
        return self._graph.add("MatMul", self, other)


class Graph:
    """Nodes and constants of a graph that computes in one type of numbers."""

    def __init__(self, dtype: str) -> None:
        self.dtype = np.dtype(dtype)
        self._nodes, self._constants = list[Any](), list[Any]()

    def input(self, name: str) -> Value:
        """Return an input."""
        return Value(self, name)

    def add(self, operator: str, *inputs: Any, **attributes: Any) -> Value:
        """Append a node, and return its first output."""
        return self.add_all(operator, *inputs, outputs=1, **attributes)[0]

    def add_all(self, operator: str, *inputs: Any, outputs: int, **attributes: Any) -> list[Value]:
        """Append a node, and return its first outputs.

        Args:
            operator: Its type.
            inputs: Values; numbers and arrays, which become constants; lists of integers, such as
                axes; or None for one that is left out.
            outputs: How many outputs to return.
            attributes: Of the node.
        """
        names = [f"value_{len(self._nodes)}_{output}" for output in range(outputs)]
        read = [self._name(each) for each in inputs]
        self._nodes.append(helper.make_node(operator, read, names, **attributes))
        return [Value(self, name) for name in names]

    def model(
        self,
        inputs: Mapping[str, Sequence[int | str]],
        outputs: Mapping[str, tuple[Value, Sequence[int | str]]],
        metadata: Mapping[str, Any],
    ) -> bytes:
        """Return the graph as a file.

        Args:
            inputs: Shapes of the inputs, by their names; text is the name of a size that varies.
            outputs: Values and shapes of the outputs, by their names.
            metadata: Text and values of JSON.
        """
        for name, (value, _) in outputs.items():
            self._nodes.append(helper.make_node("Identity", [value.name], [name]))
        graph = helper.make_graph(
            self._nodes,
            "network",
            [self._declared(name, shape) for name, shape in inputs.items()],
            [self._declared(name, shape) for name, (_, shape) in outputs.items()],
            self._constants,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name=MARK,
            producer_version=version("sinernn"),
        )
        texts = {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in metadata.items()
        }
        helper.set_model_props(model, texts)
        return model.SerializeToString()

    def _declared(self, name: str, shape: Sequence[int | str]) -> Any:
        kinds = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE}
        return helper.make_tensor_value_info(name, kinds[self.dtype.name], shape)

    def _name(self, value: Any) -> str:
        if value is None:
            return ""
        if isinstance(value, Value):
            return value.name
        name = f"constant_{len(self._constants)}"
        array = np.array(value, np.int64 if isinstance(value, list) else self.dtype)
        self._constants.append(numpy_helper.from_array(array, name))
        return name
