"""Exported programs of PyTorch, graphs of its aten operations: from memory, and from .pt2 files without PyTorch."""

from probe.imports.exported._program import Node, Program, Reference, shown_line
from probe.imports.exported._translation import translated

__all__ = ["Node", "Program", "Reference", "shown_line", "translated"]
