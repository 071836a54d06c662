"""Networks from the operations of other libraries, one by one, in PyTorch's meaning.

`Building` collects the layers; `building.at(name, operation, where)` gives the operations for one node of a graph,
whose layers get that name and whose refusals name that operation and line:

    building = Building("net.onnx")
    x = building.input((3, 32, 32), "images")
    x = building.at("conv1", "Conv", "node 'conv1'").conv(x, kernel, bias, padding=(1, 1))
    network = building.finish([x])

Arrays and shapes have the channels first. Axes are counted with that of the samples, which is 0. What is known
beforehand is a constant: a NumPy array, whose axes are all its own.
"""

from __future__ import annotations

from probe.imports._assembly import Assembly, Operand, Value
from probe.imports._elementwise import ElementwiseOperations
from probe.imports._images import ImageOperations
from probe.imports._normalizations import NormalizationOperations

__all__ = ["Building", "Operand", "Operations", "Value"]


class Operations(ImageOperations, NormalizationOperations, ElementwiseOperations):
    """The operations for one node of a graph: each returns what its layers put out."""

    __slots__ = ()


class Building(Assembly):
    """The layers of a network, while they are collected; see `Assembly` for its arguments."""

    def at(self, name: str, operation: str, where: str = "") -> Operations:
        """Return the operations for one node of a graph.

        Parameters
        ----------
        name : str
            Name of the layer that it becomes; a number is added where it is taken.
        operation, where : str
            What refusals call it, such as "aten.cumsum", and the line or node where it is, such as "net.py, line 12".
        """
        return Operations(self, name, operation, where)
