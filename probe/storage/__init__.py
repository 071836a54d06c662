"""Files: networks in Keras' layouts, results as they were computed, and the guard against broken files.

Every file that the project writes goes through `write_atomically`, `write_text` or `write_bytes`, where a user named it,
or through an `OwnedFolder`, where probe did.
"""

from probe.kerasfile import LayerDescription, ModelFile, VariableDescription, open_model
from probe.safeh5 import DEFAULT_LIMITS, Limits
from probe.storage._atomic import write_atomically, write_bytes, write_text
from probe.storage._owned import OwnedFolder
from probe.storage.networks import load_network, network_bytes, read_provenance, save_network
from probe.storage.results import load_result, result_bytes, result_from_bytes, results_bytes, save_result

__all__ = [
    "DEFAULT_LIMITS",
    "LayerDescription",
    "Limits",
    "ModelFile",
    "OwnedFolder",
    "VariableDescription",
    "load_network",
    "load_result",
    "network_bytes",
    "open_model",
    "read_provenance",
    "result_bytes",
    "result_from_bytes",
    "results_bytes",
    "save_network",
    "save_result",
    "write_atomically",
    "write_bytes",
    "write_text",
]
