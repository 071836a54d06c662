"""Files in the layouts of Keras, written by hand: what a version that is not installed here would write."""

import json

import h5py
import numpy as np

RNG_SEED = 5


def entry(class_name, name, inbound=None, **config):
    """Return one layer of a configuration; `inbound` are its inbound nodes in a functional model."""
    found = {"class_name": class_name, "config": {"name": name, "trainable": True} | config}
    return found if inbound is None else found | {"name": name, "inbound_nodes": inbound}


def dense(name, units, inbound=None, **config):
    return entry("Dense", name, inbound, units=units, **{"activation": "tanh", "use_bias": True} | config)


def old_input(name, *shape, inbound=None):
    return entry("InputLayer", name, inbound, batch_input_shape=[None, *shape])


def new_input(name, *shape, inbound=None):
    return entry("InputLayer", name, inbound, batch_shape=[None, *shape])


def sequential(*layers, name="model", **config):
    return {"class_name": "Sequential", "config": {"name": name, "layers": list(layers)} | config}


def functional(layers, inputs, outputs, name="model"):
    config = {"name": name, "layers": layers, "input_layers": inputs, "output_layers": outputs}
    return {"class_name": "Functional", "config": config}


def inside(model, inbound=None):
    """Return a model as a layer of another one."""
    return model if inbound is None else model | {"name": model["config"]["name"], "inbound_nodes": inbound}


def old_node(*tensors):
    """Return a call as Keras 2 writes it; tensors are (name, node, tensor)."""
    return [[*tensor, {}] for tensor in tensors]


def new_node(*tensors, **kwargs):
    """Return a call as Keras 3 writes it."""
    found = [
        {"class_name": "__keras_tensor__", "config": {"shape": [None, 1], "keras_history": list(tensor)}}
        for tensor in tensors
    ]
    return {"args": [found] if len(found) > 1 else found, "kwargs": kwargs}


def arrays(*shapes, seed=RNG_SEED):
    rng = np.random.default_rng(seed + sum(map(len, shapes)))
    return [(np.abs(rng.normal(size=shape)) + 0.1).astype("f4") for shape in shapes]


def legacy_file(path, model, weights, *, version="2.15.0", backend="tensorflow", whole=True, texts=None):
    """Write the older layout; `weights` maps layers to lists of (path, array)."""
    texts = texts or (lambda attributes, name, values: attributes.__setitem__(name, list(values)))
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if whole else file
        if whole:
            file.attrs["model_config"] = json.dumps(model)
        for place in (file, root):
            if version is not None:
                place.attrs["keras_version"] = version
            place.attrs["backend"] = backend
        texts(root.attrs, "layer_names", list(weights))
        for layer, variables in weights.items():
            group = root.require_group(layer)
            if variables:
                texts(group.attrs, "weight_names", [name for name, _ in variables])
            else:
                group.attrs["weight_names"] = np.zeros(0)
            for name, values in variables:
                group[name] = values
    return path


def object_file(path, tree, *, container="layers", names=None, windows=False):
    """Write the newer layout; `tree` maps keys to lists of arrays, or to such a tree again.

    On Windows there are no groups inside each other.
    """

    def add(group, tree, prefix="", before=""):
        inner = group if windows else group.create_group(container)
        before = f"{before}{container}\\" if windows else ""
        for key, found in tree.items():
            member = inner.create_group(before + key)
            variables = member.create_group("vars")
            if isinstance(found, dict):
                add(inner if windows else member, found, f"{prefix}{key}/", f"{before}{key}\\")
                continue
            for place, values in enumerate(found):
                variables[str(place)] = values
            if names and f"{prefix}{key}" in names:
                variables.attrs["name"] = names[f"{prefix}{key}"]

    with h5py.File(path, "w") as file:
        file.create_group("vars")
        file.create_group("optimizer").create_group("vars")["0"] = np.zeros(1)
        add(file, tree)
    return path


def json_file(path, model):
    path.write_text(json.dumps(model))
    return path
