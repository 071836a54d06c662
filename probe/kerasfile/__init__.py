"""Keras' model files, read and written without Keras or TensorFlow, and safely: a file may come from anybody.

`open_model` opens a file and says what is in it; `ModelFile.network` builds the network, and `ModelFile.variable`
reads one array. `write_network` writes a network so that every Keras opens it, `archive_of` as a .keras file. Nothing in
a file is run. Which versions and layouts are read, and what is refused: `docs/kerasfile.md`.

Reading needs NumPy only; writing needs h5py.

Examples
--------
>>> import tempfile
>>> from pathlib import Path
>>> import h5py, numpy as np
>>> from probe.layers import Dense
>>> from probe.network import Network
>>> layer = Dense("output", np.ones((3, 2), np.float32), np.zeros(2, np.float32), "softmax")
>>> path = Path(tempfile.mkdtemp()) / "pets.h5"
>>> with h5py.File(path, "w") as file:
...     write_network(file, Network((layer,), (3,), ("cat", "dog")))
>>> with open_model(path) as model:
...     model.class_names, model.layers[0].name, [variable.shape for variable in model.layers[0].variables]
(('cat', 'dog'), 'output', [(3, 2), (2,)])
"""

from probe.kerasfile._config import last_net, naming, parse_json
from probe.kerasfile._diagnosis import Diagnosis, diagnose
from probe.kerasfile._file import LayerDescription, ModelFile, VariableDescription
from probe.kerasfile._foreign import Foreign, foreign_file
from probe.kerasfile._models import OpenShapeError
from probe.kerasfile._open import model_in, open_model, read_provenance
from probe.kerasfile._write import (
    archive_of,
    check_storable,
    encode_provenance,
    write_network,
    write_text_attribute,
)

__all__ = [
    "Diagnosis",
    "Foreign",
    "LayerDescription",
    "ModelFile",
    "OpenShapeError",
    "VariableDescription",
    "archive_of",
    "check_storable",
    "diagnose",
    "encode_provenance",
    "foreign_file",
    "last_net",
    "model_in",
    "naming",
    "open_model",
    "parse_json",
    "read_provenance",
    "write_network",
    "write_text_attribute",
]
