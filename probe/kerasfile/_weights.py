"""Where the variables of each layer are in a file: found by names and lists, without reading any.

Keras has two layouts. In the older one, a group for each layer of the outermost model lists its variables
in the attribute `weight_names`, those of a model inside it all together. In the newer one, the groups are
called after the classes of the layers, numbered in the order of the configuration.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from probe.kerasfile._config import LayerSpec, Shape, warn
from probe.kerasfile._graph import MAX_NAMES, Path
from probe.kerasfile._kinds import NON_TRAINABLE
from probe.kerasfile._models import Entry, Model
from probe.layers import LAYERS
from probe.safeh5 import File, Group, listed, printable

__all__ = [
    "Expected",
    "Found",
    "Stored",
    "has_object_weights",
    "legacy_weights",
    "numbered_key",
    "object_weights",
    "snake_case",
    "warn_of_crowds",
]

MAX_VARIABLES = 16
"""Most variables of one layer that are looked at, before the number is compared with the expected one."""

MANY_MEMBERS = 256
"""Members that a group may have beyond those of its model before a warning is due."""

CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
"""Groups of the newer layout; TensorFlow 2.12 to 2.14 wrote the second, and there counted layers twice."""

Expected = Mapping[Path, Mapping[str, Shape]]
"""The shapes of the variables of each layer, in the order in which Keras stores them."""

_SCOPED = tuple[Path, str]

_KNOWN_VARIABLES = NON_TRAINABLE.union(
    *([*layer.kernel_axes, *layer.initial_values] for layer in LAYERS.values())
)


class Stored(NamedTuple):
    """Where one variable is: a path below a group."""

    group: Group
    path: str


Found = dict[Path, dict[str, Stored]]
"""Where the variables of each layer are, by name."""


def legacy_weights(
    file: File, group: Group, model: Model, expected: Expected, *, replaced: bool = False
) -> Found:
    """Return where the variables are below `group`, which has the attribute `layer_names`.

    With `replaced`, the model comes from elsewhere: `layer_names` may list more layers, without weights.
    """
    present = _listed_layers(file, group, model, replaced=replaced)
    located: Found = {}
    for entry in model.entries:
        path = (entry.spec.name,)
        wanted = next(_in_files_order(entry, path, expected))
        if entry.spec.name not in present:
            if wanted:
                entry.spec.refuse("has no weights in the file: layer_names does not list it")
            continue
        if entry.is_input:
            continue
        member = file.group(group, entry.spec.name)
        paths = _strings(file, member, "weight_names", len(wanted) + MAX_VARIABLES)
        _check_count(entry.spec, len(paths), [name for _, name in wanted])
        if len(set(paths)) != len(paths):
            entry.spec.refuse("lists one of its arrays twice; the file was not written to the end")
        for (leaf, name), stored in zip(_matched(file, entry, path, expected, paths), paths, strict=True):
            located.setdefault(leaf, {})[name] = Stored(member, stored)
        _warn_of_many(file, member, len(wanted))
    return located


def _listed_layers(file: File, group: Group, model: Model, *, replaced: bool) -> set[str]:
    inputs = {entry.spec.name for entry in model.entries if entry.is_input}
    names = [entry.spec.name for entry in model.entries if not entry.is_input]
    _warn_of_many(file, group, len(model.entries))
    everything = _strings(file, group, "layer_names", len(model.entries) + MAX_VARIABLES)
    known = set(names)

    def is_dropped(name: str) -> bool:
        # What takes the place of a layer without weights may be called otherwise, or be left out.
        has_place = name in known or not replaced
        return not has_place and not file.strings(file.group(group, name), "weight_names", MAX_VARIABLES)

    dropped = {name for name in everything if is_dropped(name)}
    layers = [name for name in everything if name not in inputs and name not in dropped]
    present = set(layers)
    unknown = [name for name in layers if name not in known]
    if unknown:
        file.refuse("layer_names", f"lists {listed(unknown, 4)}, unknown to model_config: {listed(names, 4)}")
    if layers != [name for name in names if name in present]:
        file.refuse(
            "layer_names",
            f"lists {listed(everything, 4)}, not in the order of model_config: {listed(names, 4)}",
        )
    return present


def _strings(file: File, group: Group, name: str, at_most: int) -> tuple[str, ...]:
    """Return a list of names, of no more letters than a model may have."""
    names = file.strings(group, name, at_most=at_most)
    letters = sum(map(len, names))
    # Each is a path that repeats the names of the layers around it.
    if letters > 2 * MAX_NAMES:
        file.refuse(
            f"attribute '{name}' of {group.name}", f"has {letters} letters, more than {2 * MAX_NAMES}"
        )
    return names


def _matched(
    file: File, entry: Entry, path: Path, expected: Expected, paths: Sequence[str]
) -> Sequence[_SCOPED]:
    """Return which variable each of `paths` is, by position, checked against the names in the paths."""
    orders = list(_in_files_order(entry, path, expected))
    scopes = {leaf[-1] for leaf, _ in orders[0]}
    names = {name for _, name in orders[0]}
    for fits in (_agrees, _contradicts_nothing):
        for order in orders:
            pairs = zip(order, paths, strict=True)
            if all(fits(leaf, name, stored, scopes, names) for (leaf, name), stored in pairs):
                _warn_of_names(file, entry, order, paths)
                return order
    for (leaf, name), stored in zip(orders[0], paths, strict=True):
        if not _contradicts_nothing(leaf, name, stored, scopes, names):
            entry.spec.refuse(
                f"lists its {printable(_parts(stored)[1], 40)} where its {name} is expected "
                f"({printable(stored)} for '{printable('/'.join(leaf))}')"
            )
    raise AssertionError


def _parts(stored: str) -> tuple[str, str]:
    """Return the scope and the name of the variable at the end of a path such as "mlp/dense/kernel:0"."""
    *scopes, name = stored.removesuffix(":0").split("/")
    return (scopes[-1] if scopes else ""), name


def _agrees(leaf: Path, name: str, stored: str, _scopes: set[str], _names: set[str]) -> bool:
    scope, stored_name = _parts(stored)
    return _same_variable(name, stored_name) and scope == leaf[-1].rpartition("/")[2]


def _contradicts_nothing(leaf: Path, name: str, stored: str, scopes: set[str], names: set[str]) -> bool:
    # Keras trusts the position alone. A scope or a name can be any, but not that of another variable here.
    scope, stored_name = _parts(stored)
    if not _same_variable(name, stored_name) and stored_name in names:
        return False
    return scope == leaf[-1] or scope not in scopes


def _same_variable(name: str, stored_name: str) -> bool:
    # Keras 2 has a name of its own for the kernel of a DepthwiseConv2D.
    return stored_name == name or (stored_name == "depthwise_kernel" and name == "kernel")


def _warn_of_names(file: File, entry: Entry, order: Sequence[_SCOPED], paths: Sequence[str]) -> None:
    for (_, name), stored in zip(order, paths, strict=True):
        stored_name = _parts(stored)[1]
        if stored_name in _KNOWN_VARIABLES and not _same_variable(name, stored_name):
            warn(
                file.shown_path,
                f"layer '{printable(entry.spec.name, 40)}' calls its {name} '{stored_name}'; "
                "Keras goes by the position alone, and so does this",
            )


def _in_files_order(entry: Entry, path: Path, expected: Expected) -> Iterator[list[_SCOPED]]:
    """Yield the orders in which a layer's variables can be listed, the likeliest first."""
    for keras in (2, 3) if entry.spec.keras < 3 else (3, 2):
        trained, fixed = _split(entry, path, expected, keras)
        yield trained + fixed


def _split(entry: Entry, path: Path, expected: Expected, keras: int) -> tuple[list[_SCOPED], list[_SCOPED]]:
    """Return the variables that Keras trains in a layer, or in all layers of a model, and all others."""
    trainable = entry.spec.config.get("trainable", True) not in (False, 0)
    if entry.model is None:
        names = expected.get(path, {})
        trained = [(path, name) for name in names if trainable and name not in NON_TRAINABLE]
        return trained, [(path, name) for name in names if (path, name) not in trained]
    parts = [_split(inner, (*path, inner.spec.name), expected, keras) for inner in entry.model.entries]
    if not trainable and keras >= 3:
        return [], [variable for part in parts for variable in (*part[0], *part[1])]
    trained = [variable for part in parts for variable in part[0]]
    fixed = [variable for part in parts for variable in part[1]]
    return (trained, fixed) if trainable else ([], trained + fixed)


@dataclass(frozen=True, slots=True)
class _Shelf:
    r"""Where the groups of the layers of a model are: the members of a group whose names begin with `prefix`.

    On Windows, Keras 2.13 to 2.15 wrote no groups inside each other, but names such as "layers\conv2d"; `names` are all
    of these, in order.
    """

    file: File
    group: Group
    prefix: str = ""
    names: tuple[str, ...] = ()

    def container(self) -> tuple[_Shelf, str] | None:
        """Return what is called as one of `CONTAINERS`, and the name; None if nothing is."""
        for name in CONTAINERS:
            if not self.prefix and self.file.has(self.group, name):
                return _Shelf(self.file, self.file.group(self.group, name)), name
            if self._begins(f"{self.prefix}{name}\\"):
                return _Shelf(self.file, self.group, f"{self.prefix}{name}\\", self.names), name
        return None

    def has(self, key: str, entry: Entry) -> bool:
        """Return whether there is something for a layer, or for those of a model."""
        if self.prefix and entry.model is not None:
            return self._begins(f"{self.prefix}{key}\\")
        return self.file.has(self.group, self.prefix + key)

    def layer(self, key: str) -> Group:
        """Return the group of a layer."""
        return self.file.group(self.group, self.prefix + key)

    def model(self, key: str) -> _Shelf:
        """Return where the container of a model inside is."""
        if self.prefix:
            return _Shelf(self.file, self.group, f"{self.prefix}{key}\\", self.names)
        return _Shelf(self.file, self.layer(key))

    def has_variables(self, key: str) -> bool:
        """Return whether there is a layer with variables."""
        if not self.file.is_group(self.group, self.prefix + key):
            return False
        group = self.layer(key)
        return self.file.has(group, "vars") and self.file.has(self.file.group(group, "vars"), "0")

    def _begins(self, prefix: str) -> bool:
        place = bisect_left(self.names, prefix)
        return place < len(self.names) and self.names[place].startswith(prefix)


def _outermost(file: File, group: Group) -> _Shelf:
    return _Shelf(file, group, names=tuple(sorted(name for name in file.members(group) if "\\" in name)))


def has_object_weights(file: File, group: Group) -> bool:
    """Return whether weights in the newer layout are below `group`."""
    return _outermost(file, group).container() is not None


def object_weights(file: File, group: Group, model: Model, expected: Expected) -> Found:
    """Return where the variables are below `group`, which has a group called as one of `CONTAINERS`."""
    return dict(_objects(_outermost(file, group), model, (), expected))


def _objects(
    shelf: _Shelf, model: Model, path: Path, expected: Expected
) -> Iterator[tuple[Path, dict[str, Stored]]]:
    file, found = shelf.file, shelf.container()
    if found is None:
        if any(_needs(entry, path, expected) for entry in model.entries):
            file.refuse(str(shelf.group.name), "has no group 'layers', in which the weights of a model are")
        return
    container, name = found
    if not container.prefix:
        _warn_of_many(file, container.group, 2 * len(model.entries))
    is_ranked = name == "_layer_checkpoint_dependencies"
    for entry, key in _ranked_keys(container, model, path, expected) if is_ranked else _keys(model):
        here = (*path, entry.spec.name)
        if not _needs(entry, path, expected):
            continue
        if key is None or not container.has(key, entry):
            there = f": {printable(container.group.name)} has {file.names(container.group)}"
            entry.spec.refuse(f"has no weights in the file, expected in the group '{key}'{there}")
        if entry.model is not None:
            yield from _objects(container.model(key), entry.model, here, expected)
        else:
            yield here, _numbered(file, container.layer(key), entry.spec, expected[here])


def _needs(entry: Entry, path: Path, expected: Expected) -> bool:
    """Return whether a layer, or any layer of a model, has variables."""
    here = (*path, entry.spec.name)
    if entry.model is None:
        return bool(expected.get(here))
    return any(_needs(inner, here, expected) for inner in entry.model.entries)


def _keys(model: Model) -> Iterator[tuple[Entry, str | None]]:
    """Yield each layer of `model` with the name of its group: its class and a number."""
    counts: Counter[str] = Counter()
    for entry in model.entries:
        if entry.is_input and model.is_sequential:
            continue
        stem = snake_case(entry.spec.class_name)
        yield entry, numbered_key(stem, counts[stem])
        counts[stem] += 1


def _ranked_keys(
    container: _Shelf, model: Model, path: Path, expected: Expected
) -> Iterator[tuple[Entry, str | None]]:
    """Yield each layer that has a group with its name, where numbers may be left out."""
    counts: Counter[str] = Counter()
    for entry in model.entries:
        if entry.model is None and not _needs(entry, path, expected):
            continue
        stem = snake_case(entry.spec.class_name)
        key = None
        # Every layer was counted at most twice.
        while key is None and counts[stem] <= 2 * len(model.entries):
            candidate = numbered_key(stem, counts[stem])
            is_there = container.has(candidate, entry)
            if is_there and (entry.model is not None or container.has_variables(candidate)):
                key = candidate
            counts[stem] += 1
        yield entry, key


def numbered_key(stem: str, number: int) -> str:
    """Return the name of the group of the k-th layer of a class, counted from 0."""
    return f"{stem}_{number}" if number else stem


def snake_case(class_name: str) -> str:
    """Return the name of a class as Keras writes it in groups.

    Examples
    --------
    >>> [snake_case(name) for name in ("Conv2D", "MaxPooling2D", "ReLU", "PReLU", "BatchNormalization")]
    ['conv2d', 'max_pooling2d', 're_lu', 'p_re_lu', 'batch_normalization']
    """
    name = "Functional" if class_name == "Model" else re.sub(r"\W+", "", class_name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _numbered(file: File, member: Group, spec: LayerSpec, expected: Mapping[str, Shape]) -> dict[str, Stored]:
    if not file.has(member, "vars"):
        _check_count(spec, 0, expected)
    group = file.group(member, "vars")
    _warn_of_many(file, group, len(expected))
    if file.has_attribute(group, "name"):
        name = file.text(group, "name")
        if name != spec.name.rsplit("/", 1)[-1] and name != spec.name:
            spec.refuse(
                f"has its weights in {printable(group.name)}, which belongs to '{printable(name, 40)}'"
            )
    most = len(expected) + MAX_VARIABLES
    count = next((k for k in range(most) if not file.has(group, str(k))), most)
    _check_count(spec, count, expected)
    return {name: Stored(group, str(index)) for index, name in enumerate(expected)}


def _check_count(spec: LayerSpec, count: int, expected: Mapping[str, Shape] | Sequence[str]) -> None:
    if count != len(expected):
        names = printable(", ".join(expected) or "none", 120)
        spec.refuse(f"has {count} arrays in the file, expected {len(expected)} ({names})")


def warn_of_crowds(file: File, variables: Found) -> None:
    """Warn of every group in which arrays of a layer lie among many other members."""
    for stored in variables.values():
        for group, scope in {(one.group, one.path.rpartition("/")[0]) for one in stored.values()}:
            if scope:
                _warn_of_many(file, file.group(group, scope), len(stored))


def _warn_of_many(file: File, group: Group, expected: int) -> None:
    count = len(file.members(group))
    if count > expected + MANY_MEMBERS:
        warn(
            file.shown_path,
            f"{printable(group.name)} has {count} members, of which the model can use {expected}; "
            "the others are not read",
        )
