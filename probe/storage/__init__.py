"""Files of this project: networks in Keras' layout, results as they were computed, and folders of both.

Every file that the project writes goes through `write_atomically`, `write_text` or `write_bytes`, where a user named it,
or through an `OwnedFolder`, where probe did. What is inside of model files is the business of `probe.kerasfile`.
"""

from probe.storage._atomic import write_atomically, write_bytes, write_text
from probe.storage._owned import OwnedFolder
from probe.storage.networks import load_film, load_network, network_bytes, save_network
from probe.storage.results import load_result, result_bytes, result_from_bytes, results_bytes, save_result

__all__ = [
    "OwnedFolder",
    "load_film",
    "load_network",
    "load_result",
    "network_bytes",
    "result_bytes",
    "result_from_bytes",
    "results_bytes",
    "save_network",
    "save_result",
    "write_atomically",
    "write_bytes",
    "write_text",
]
