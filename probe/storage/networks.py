"""Networks in Keras' own files, so that Keras opens what is written here, and the other way round.

The layout of what is written, and what can be read: `docs/kerasfile.md`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from probe._checks import InputError
from probe._signatures import checked
from probe.film import Film
from probe.imports import foreign_kind, read_foreign
from probe.kerasfile import archive_of, check_storable, encode_provenance, open_model, write_network
from probe.network import Network
from probe.safeh5 import DEFAULT_LIMITS, Limits
from probe.storage._atomic import hdf5_bytes, write_bytes

__all__ = ["load_film", "load_network", "network_bytes", "save_network"]


@checked
def save_network(
    network: Network,
    path: str | os.PathLike[str],
    *,
    provenance: Mapping[str, object] | None = None,
    film: Film | None = None,
) -> Path:
    """Write `network` to a file that Keras opens too: a .keras archive if its name ends so, and HDF5 otherwise.

    The file appears at once and whole, or not at all. The same network and provenance give the same
    bytes. Layers keep their names, also those that Keras could not have ("block/conv", "dense@1").

    Parameters
    ----------
    network : Network
        The network.
    path : path
        The file; it is replaced if it exists, and its folder is created if need be.
    provenance : mapping, optional
        Where the network comes from: training history, configuration, seed, fingerprint of the data,
        versions. Strings, numbers, None, lists and mappings of these; arrays are stored as lists.
    film : Film, optional
        The network on its way through training. Its moments before the last are kept in half precision.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    InputError
        If the file cannot be written, a weight is NaN or infinite, a layer's name is no printable text, Keras lacks
        something that a .keras file would have to hold, the provenance has something that JSON cannot express, or the film
        is of another network or larger than what is read again (`probe.film.affordable_frames`).

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from probe.layers import Dense
    >>> layer = Dense("output", np.ones((3, 2), np.float32), np.zeros(2, np.float32), "softmax")
    >>> folder = Path(tempfile.mkdtemp())
    >>> path = save_network(Network((layer,), (3,), ("cat", "dog")), folder / "pets.h5")
    >>> load_network(path).class_names
    ('cat', 'dog')
    """
    suffix: Literal[".keras", ".h5"] = ".keras" if Path(path).suffix.lower() == ".keras" else ".h5"
    return write_bytes(path, network_bytes(network, suffix=suffix, provenance=provenance, film=film))


@checked
def network_bytes(
    network: Network,
    *,
    suffix: Literal[".keras", ".h5"] = ".h5",
    provenance: Mapping[str, object] | None = None,
    film: Film | None = None,
) -> bytes:
    """Return the content of the file that `save_network` writes, for writing it elsewhere.

    Raises
    ------
    InputError
        As `save_network` does.
    """
    text = encode_provenance(provenance or {})
    check_storable(network)
    if suffix == ".keras":
        return archive_of(network, text, film)
    return hdf5_bytes(lambda file: write_network(file, network, text, film))


@checked
def load_network(
    path: str | os.PathLike[str],
    *,
    architecture: str | os.PathLike[str] | None = None,
    replace: Mapping[str, str] | None = None,
    input_shape: tuple[int, ...] | None = None,
    limits: Limits | None = DEFAULT_LIMITS,
) -> Network:
    """Read a network from a file of Keras, PyTorch or ONNX, or one that `save_network` wrote.

    What a file is shows in its content. Exported programs of PyTorch (.pt2) and ONNX files need neither library, and no
    pickle is ever opened.

    Sequential and functional models, also inside each other, are read as one graph of layers: a layer
    `conv` of the model `block` inside another is called "block/conv", and the calls of a layer that is
    called more than once are "dense@0", "dense@1". Half-precision weights are widened to float32; float32
    and float64 are kept. Nothing in the file is run, and nothing outside it is opened.

    Parameters
    ----------
    path : path
        A whole model (.h5, .keras, .pt2, .onnx), or the weights of one (.weights.h5, .safetensors).
    architecture : path, optional
        For .safetensors a .pt2 or .onnx file, whose graph calls weights by the same names. Of Keras:
        Where the architecture is: a `config.json`, or a file with a whole model. By default that of the file;
        for a file that holds only weights, a .keras beside it with the same stem. A whole model can be given
        another one too, such as one with a Rescaling where the file has a Lambda.
    replace : mapping of str to str, optional
        For layers that hold code, or are not known, the expression that they compute, such as {"scale": "x / 127.5 - 1"}:
        x, numbers, + - * / and functions such as relu(x). It is parsed, and never evaluated. For models of Keras only.
    input_shape : tuple of int, optional
        Shape of one input, (height, width, channels), of a model that leaves sizes open.
    limits : Limits or None
        What is read at most; None for a file of one's own: as much as there is.

    Returns
    -------
    Network
        With the class names of the file, or "0", "1", ... if it has none. A single sigmoid unit has two classes.
        What linear outputs are is taken from the loss that the model was compiled with: logits where the loss
        says so, quantities and no classes where it is one of a regression (`Network.is_regression`).

    Raises
    ------
    ModelFileError
        If the file is missing, damaged, unsafe to read or no such model. The message names the file,
        the place in it, what was expected and what was found.

    Warns
    -----
    ModelFileWarning
        If the file can be read, but something in it is odd.
    """
    kind = foreign_kind(path)
    if kind is not None:
        if replace:
            raise InputError("--replace is for layers of Keras; leave it out for this file")
        return read_foreign(path, kind, architecture=architecture, input_shape=input_shape, limits=limits)
    with open_model(
        path, architecture=architecture, replace=replace, input_shape=input_shape, limits=limits
    ) as model:
        return model.network()


@checked
def load_film(path: str | os.PathLike[str], *, limits: Limits | None = DEFAULT_LIMITS) -> Film | None:
    """Read the film of a training from a file that `probe train`, `probe report` or `save_network` wrote.

    Parameters
    ----------
    path : path
        The model file.
    limits : Limits or None
        As for `load_network`.

    Returns
    -------
    Film or None
        None if the file has none.

    Raises
    ------
    ModelFileError
        If the file or the film is missing, damaged or unsafe to read.

    Examples
    --------
    >>> import tempfile, probe
    >>> split, config = probe.load_dataset("digits"), probe.TrainingConfig(epochs=2)
    >>> trained = probe.train(probe.MLP(hidden=(8,)), split, config, frames=6)
    >>> path = save_network(trained.network, Path(tempfile.mkdtemp()) / "model.h5", film=trained.film)
    >>> load_film(path).updates
    array([ 0,  1,  2,  5, 15, 30])
    """
    with open_model(path, limits=limits) as model:
        return model.film()
