"""Programs in .pt2 files, as torch.export.save writes them, read without PyTorch: a zip of JSON and of raw tensors.

========================================  ==============================================================
member, below a folder                    what it holds
========================================  ==============================================================
`models/NAME.json`                        the graph, and which of its inputs are weights
`data/weights/NAME_weights_config.json`   for each weight its type, sizes and strides, and its member
`data/weights/weight_0`, ...              its storage
`data/constants/...`                      the same for other tensors
========================================  ==============================================================

Nothing is unpickled: weights that are stored by pickle, as PyTorch up to 2.8 stores them, are refused.

References
----------
.. [1] torch/_export/serde/schema.py in https://github.com/pytorch/pytorch: what the JSON holds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from probe._checks import check_input_shape
from probe._errors import ModelFileError
from probe.imports._safetensors import check_fitting
from probe.imports.exported._graph import parsed_graph
from probe.imports.exported._program import Program
from probe.imports.exported._translation import translated
from probe.kerasfile import last_net, parse_json
from probe.network import Network
from probe.safeh5 import DEFAULT_LIMITS, DamagedError, Limits, ZipArchive, limits_of, open_zip, printable

__all__ = ["is_exported", "open_program", "read_exported"]

Arrays = Mapping[str, npt.NDArray[np.generic]]

_MOST_MEMBERS = 10_000

_OLD = ("serialized_exported_program.json", "serialized_state_dict.pt")

_DTYPES = {
    1: "u1", 2: "i1", 3: "<i2", 4: "<i4", 5: "<i8", 6: "<f2", 7: "<f4", 8: "<f8", 12: "?", 13: "bfloat16",
}  # fmt: skip
"""Types of tensors by their numbers."""


def is_exported(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is an exported program of PyTorch; False if it cannot be read as an archive."""
    try:
        with open_zip(path, most_members=_MOST_MEMBERS) as archive:
            return any(name in _OLD or _model_name(name) for name in archive.members)
    except (DamagedError, OSError, ValueError):
        return False


def _model_name(member: str) -> str:
    """Return the name of the model whose graph a member is; "" for another member."""
    *folder, models, name = ["", "", *member.split("/")][-3:]
    return (
        name.removesuffix(".json") if models == "models" and folder != [""] and name.endswith(".json") else ""
    )


def read_exported(
    path: str | os.PathLike[str],
    *,
    tensors: Arrays | None = None,
    input_shape: tuple[int, ...] | None = None,
    limits: Limits | None = DEFAULT_LIMITS,
) -> Network:
    """Read the network of an exported program of PyTorch, a .pt2 file, without PyTorch.

    Parameters
    ----------
    path : path
        What `torch.export.save(torch.export.export(module.eval(), example_inputs), path)` wrote with PyTorch 2.9 or later.
    tensors : mapping of str to ndarray, optional
        Other weights, by the names of the module's `state_dict`.
    input_shape : tuple of int, optional
        Shape of one input with the channels last, for a program that leaves sizes open.
    limits : Limits or None
        What is read at most; None for a file of one's own.

    Returns
    -------
    Network
        For images with the channels last; see `probe.from_torch`.

    Raises
    ------
    ModelFileError
        If the file is missing, damaged or unsafe to read, its weights are pickled, or an operation in it is not known.
    """
    check_input_shape(input_shape)
    shown_path = printable(os.fspath(path), 200)
    with last_net(shown_path), open_program(path, tensors, input_shape, limits) as program:
        try:
            return translated(program, shown_path)
        except ModelFileError:
            raise
        except ValueError as error:
            raise ModelFileError(str(error)) from None


@contextmanager
def open_program(
    path: str | os.PathLike[str],
    tensors: Arrays | None = None,
    input_shape: tuple[int, ...] | None = None,
    limits: Limits | None = DEFAULT_LIMITS,
) -> Iterator[Program]:
    """Give the program in a .pt2 file; see `read_exported`."""
    shown_path, most = printable(os.fspath(path), 200), limits_of(limits)
    try:
        with open_zip(path, most_members=_MOST_MEMBERS) as archive:
            program = _Archive(archive, most).program(tensors, input_shape)
    except ModelFileError as error:
        raise ModelFileError(f"{shown_path}: {error}") from None
    except OSError as error:
        raise ModelFileError(f"{shown_path} cannot be read: {error.strerror}") from None
    except DamagedError as error:
        raise ModelFileError(
            f"{shown_path} is a damaged archive: {printable(error, 200)}. Export it again"
        ) from None
    yield program


class _Archive:
    """An open archive, and what was read of it."""

    def __init__(self, archive: ZipArchive, limits: Limits) -> None:
        self._archive = archive
        self._limits = limits
        self._storages: dict[str, npt.NDArray[np.uint8]] = {}
        self._made: dict[tuple[object, ...], npt.NDArray[np.generic]] = {}
        self._bytes_left = 0
        members = archive.members
        models = [name for name in members if _model_name(name)]
        if not models or any(name in members for name in _OLD):
            raise ModelFileError(_pickled("all tensors"))
        if len(models) > 1:
            raise ModelFileError(f"holds {len(models)} programs; export one of them alone")
        self._root = models[0].rsplit("models/", 1)[0]
        self._name = _model_name(models[0])
        order = f"{self._root}byteorder"
        if order in members and archive.read(order, 16).tobytes().strip() != b"little":
            raise ModelFileError("has tensors of another byte order; export it on another machine")

    def program(self, tensors: Arrays | None, input_shape: tuple[int, ...] | None) -> Program:
        graph = parsed_graph(self._json(f"models/{self._name}.json"), input_shape)
        needed = graph.weights
        if tensors is None:
            known = self._tensors("weights", {name for name, kind in needed.values() if kind == "weights"})
        else:
            check_fitting(tensors, graph.state_shapes, {name for name, _ in needed.values()})
            known = dict(tensors)
        known |= self._tensors("constants", {name for name, _ in needed.values() if name not in known})
        missing = sorted(name for name, _ in needed.values() if name not in known)
        if missing:
            raise ModelFileError(f"has no values of '{missing[0]}', which its graph reads. Export it again")
        return graph.program({own: known[name] for own, (name, _) in needed.items()})

    def _json(self, name: str) -> Any:
        member = f"{self._root}{name}"
        if member not in self._archive.members:
            raise ModelFileError(f"has no member '{printable(member)}'. Export it again")
        content = self._archive.read(member, self._limits.text_bytes)
        try:
            text = content.tobytes().decode()
        except UnicodeDecodeError:
            raise ModelFileError(f"the member '{printable(member)}' is no UTF-8 text") from None
        return parse_json(text, printable(name), self._limits)

    def _tensors(self, kind: str, names: set[str]) -> dict[str, npt.NDArray[np.generic]]:
        """Return the tensors of a kind, those of `names`, as its configuration describes them."""
        folder = f"data/{kind}/"
        if f"{self._root}{folder}{self._name}.pt" in self._archive.members:
            raise ModelFileError(_pickled(f"its {kind}"))
        configuration = f"{folder}{self._name}_{kind}_config.json"
        if not names or f"{self._root}{configuration}" not in self._archive.members:
            return {}
        config = self._json(configuration)
        described = config.get("config") if isinstance(config, dict) else None
        if not isinstance(described, dict):
            raise ModelFileError(f"{configuration} describes no tensors")
        return {
            name: self._tensor(folder, name, described[name])
            for name in described
            if name in names and isinstance(described[name], dict)
        }

    def _tensor(self, folder: str, name: str, said: Mapping[str, Any]) -> npt.NDArray[np.generic]:
        shown_name = printable(name)
        if said.get("use_pickle"):
            raise ModelFileError(_pickled(f"'{shown_name}'"))
        meta, member = said.get("tensor_meta"), f"{self._root}{folder}{said.get('path_name')}"
        if not isinstance(meta, dict) or member not in self._archive.members:
            raise ModelFileError(
                f"has no values of '{shown_name}', or does not describe them. Export it again"
            )
        dtype = _DTYPES.get(meta.get("dtype", 0)) if isinstance(meta.get("dtype"), int) else None
        if dtype is None or meta.get("layout") != 7:
            raise ModelFileError(
                f"'{shown_name}' is of a type or layout that is not read; float, integer and bool in dense tensors are"
            )
        sizes, strides = (_numbers(meta, key, shown_name) for key in ("sizes", "strides"))
        offset = _numbers({"offset": [meta.get("storage_offset")]}, "offset", shown_name)[0]
        key = (member, dtype, tuple(sizes), tuple(strides), offset)
        if key not in self._made:
            storage = self._storage(member)
            self._made[key] = self._read(storage, dtype, sizes, strides, offset, shown_name)
        return self._made[key]

    def _storage(self, member: str) -> npt.NDArray[np.uint8]:
        if member not in self._storages:
            storage = self._archive.read(member, self._limits.tensor_bytes)
            packed = self._archive.members[member].n_packed
            if len(storage) > 1 << 20 and len(storage) > self._limits.compression * packed:
                raise ModelFileError(
                    f"the member '{printable(member)}' takes more than it can be packed into"
                )
            self._storages[member] = storage
            self._bytes_left += len(storage)
        return self._storages[member]

    def _read(
        self,
        storage: npt.NDArray[np.uint8],
        dtype: str,
        sizes: list[int],
        strides: list[int],
        offset: int,
        name: str,
    ) -> npt.NDArray[np.generic]:
        stored = np.dtype("<u2" if dtype == "bfloat16" else dtype)
        n_values = int(np.prod(sizes, dtype=object)) if sizes else 1
        last = offset + sum((n - 1) * step for n, step in zip(sizes, strides, strict=True))
        room = len(storage) // stored.itemsize
        self._bytes_left -= n_values * stored.itemsize
        if len(sizes) > self._limits.rank or (n_values and last >= room) or self._bytes_left < 0:
            raise ModelFileError(f"'{name}' of shape {tuple(sizes)} does not fit into what is stored for it")
        if not n_values:
            return np.zeros(sizes, np.float32)
        flat = np.frombuffer(storage.data, stored, room)[offset:]
        steps = [step * stored.itemsize for step in strides]
        values = np.lib.stride_tricks.as_strided(flat, sizes, steps, writeable=False).copy()
        if dtype == "bfloat16":
            return (values.astype(np.uint32) << 16).view(np.float32)
        return values.astype(np.float32) if dtype == "<f2" else values


def _numbers(meta: Mapping[str, Any], key: str, name: str) -> list[int]:
    """Return sizes, strides or the like of a tensor: integers of at least 0 that are known."""
    entries = meta.get(key)
    numbers = (
        [one.get("as_int") if isinstance(one, dict) else None for one in entries]
        if isinstance(entries, list)
        else None
    )
    if numbers is None or any(type(number) is not int or not 0 <= number < 1 << 48 for number in numbers):
        raise ModelFileError(f"'{name}' has {key} that are not known. Export it again")
    return numbers  # type: ignore[return-value]


def _pickled(what: str) -> str:
    return (
        f"it keeps {what} in a pickle, which can run code and is never read. Save it again with PyTorch 2.9 or later: "
        "torch.export.save(torch.export.load(OLD), NEW)"
    )
