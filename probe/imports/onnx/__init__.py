"""Image classifiers in ONNX files, read without onnx or protobuf, within limits."""

from probe.imports.onnx._open import is_onnx, onnx_obstacles, read_onnx

__all__ = ["is_onnx", "onnx_obstacles", "read_onnx"]
