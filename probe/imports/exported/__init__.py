"""Exported programs of PyTorch, graphs of its aten operations: from memory, and from .pt2 files without PyTorch."""

from probe.imports.exported._archive import is_exported, read_exported
from probe.imports.exported._program import Node, Program, Reference, shown_line
from probe.imports.exported._translation import translated

__all__ = ["Node", "Program", "Reference", "is_exported", "read_exported", "shown_line", "translated"]
