"""Keras' model files, read and written without Keras."""

from probe.kerasfile._file import LayerDescription, ModelFile, VariableDescription
from probe.kerasfile._open import model_in, open_model, read_provenance

__all__ = [
    "LayerDescription",
    "ModelFile",
    "VariableDescription",
    "model_in",
    "open_model",
    "read_provenance",
]
