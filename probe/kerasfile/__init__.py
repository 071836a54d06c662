"""Keras' model files, read and written without Keras."""

from probe.kerasfile._file import LayerDescription, ModelFile, VariableDescription
from probe.kerasfile._open import open_model

__all__ = ["LayerDescription", "ModelFile", "VariableDescription", "open_model"]
