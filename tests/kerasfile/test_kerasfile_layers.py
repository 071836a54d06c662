"""Every kind of layer of image models, from Keras to here and back."""

import json
import re
import sys
from dataclasses import fields
from pathlib import Path

import h5py
import numpy as np
import pytest

from probe._errors import ModelFileError
from probe.layers import (
    ActivationLayer,
    Broadcast,
    Clip,
    Cropping1D,
    Dense,
    Divide,
    Noise,
    Power,
    Rescaling,
    Resizing,
)
from probe.network import Network
from probe.storage import load_network, save_network

sys.path.append(str(Path(__file__).parents[1] / "layers"))
from every_layer import ALONE

IMAGE, SIGNAL = (7, 6, 4), (9, 4)


def cases(k):
    relu = {"activation": "relu"}
    return {
        "resizing": (IMAGE, [k.Resizing(5, 9)]),
        "resizing, nearest": (IMAGE, [k.Resizing(3, 13, "nearest")]),
        "resizing, bicubic": (IMAGE, [k.Resizing(3, 13, "bicubic")]),
        "resizing, lanczos": (IMAGE, [k.Resizing(3, 13, "lanczos5")]),
        "resizing, against aliasing": (IMAGE, [k.Resizing(3, 4, antialias=True)]),
        "resizing, cropped": (IMAGE, [k.Resizing(4, 9, crop_to_aspect_ratio=True)]),
        "resizing, padded": (IMAGE, [k.Resizing(4, 9, pad_to_aspect_ratio=True, fill_value=0.5)]),
        "resizing, padded to be tall": (IMAGE, [k.Resizing(9, 4, pad_to_aspect_ratio=True, fill_value=0.5)]),
        "center crop": (IMAGE, [k.CenterCrop(4, 3)]),
        "center crop of what is too small": (IMAGE, [k.CenterCrop(4, 9)]),
        "upsampling, bilinear": (IMAGE, [k.UpSampling2D((2, 3), interpolation="bilinear")]),
        "upsampling, bicubic": (IMAGE, [k.UpSampling2D(2, interpolation="bicubic")]),
        "group normalization": (IMAGE, [k.GroupNormalization(2, epsilon=0.1)]),
        "group normalization, each channel": (IMAGE, [k.GroupNormalization(-1, scale=False)]),
        "unit normalization": (IMAGE, [k.UnitNormalization()]),
        "spatial dropout": (IMAGE, [k.SpatialDropout2D(0.3)]),
        "augmentation": (
            IMAGE,
            [
                k.RandomFlip("horizontal"),
                k.RandomRotation(0.1),
                k.RandomZoom((0.1, 0.2)),
                k.RandomTranslation(0.1, 0.2),
                k.RandomContrast(0.2),
                k.RandomBrightness(0.2),
                k.RandomCrop(7, 6),
                k.Conv2D(2, 3, **relu),
            ],
        ),
        "conv of signals": (SIGNAL, [k.Conv1D(6, 3, 2, groups=2, **relu)]),
        "conv of signals, same": (SIGNAL, [k.Conv1D(6, 4, padding="same", dilation_rate=2, use_bias=False)]),
        "conv of signals, causal": (SIGNAL, [k.Conv1D(6, 3, 2, padding="causal"), k.Activation("tanh")]),
        "depthwise of signals": (SIGNAL, [k.DepthwiseConv1D(3, 2, padding="same", depth_multiplier=2, **relu)]),
        "separable of signals": (SIGNAL, [k.SeparableConv1D(5, 3, depth_multiplier=2, **relu)]),
        "transpose of signals": (SIGNAL, [k.Conv1DTranspose(5, 3, 2, padding="same", **relu)]),
        "pooling of signals": (SIGNAL, [k.MaxPooling1D(3, 2, "same"), k.AveragePooling1D(2)]),
        "global pooling of signals": (SIGNAL, [k.GlobalMaxPooling1D(keepdims=True), k.GlobalAveragePooling1D()]),
        "margins of signals": (SIGNAL, [k.ZeroPadding1D((1, 3)), k.Cropping1D((2, 1)), k.UpSampling1D(3)]),
    }  # fmt: skip


NAMES = [
    "resizing", "resizing, nearest", "resizing, bicubic", "resizing, lanczos", "resizing, against aliasing",
    "resizing, cropped", "resizing, padded", "resizing, padded to be tall", "center crop",
    "center crop of what is too small", "upsampling, bilinear", "upsampling, bicubic", "group normalization",
    "group normalization, each channel", "unit normalization", "spatial dropout",
    "augmentation", "conv of signals", "conv of signals, same", "conv of signals, causal", "depthwise of signals",
    "separable of signals", "transpose of signals", "pooling of signals", "global pooling of signals",
    "margins of signals",
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*HDF5 file.*")
@pytest.mark.parametrize(
    ("name", "suffix"),
    # Keras cannot write augmentation to HDF5.
    [
        (name, suffix)
        for name in NAMES
        for suffix in (".h5", ".keras")
        if (name, suffix) != ("augmentation", ".h5")
    ],
)
def test_keras_and_we_predict_the_same_there_and_back(keras, tmp_path, name, suffix):
    assert set(NAMES) == set(cases(keras.layers))
    shape, layers = cases(keras.layers)[name]
    model = keras.Sequential([keras.layers.Input(shape), *layers])
    rng = np.random.default_rng(3)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    path = tmp_path / f"theirs{suffix}"
    model.save(path)
    x = rng.normal(size=(3, *shape)).astype("f4")
    expected = model.predict(x, verbose=0)
    network = load_network(path)
    np.testing.assert_allclose(network.outputs(x), expected, rtol=1e-5, atol=1e-5)
    for ours in ("ours.h5", "ours.keras"):
        path = save_network(network, tmp_path / ours)
        again = keras.models.load_model(path)
        np.testing.assert_allclose(again.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-5)
        for layer, own in zip(network.layers, load_network(path).layers, strict=True):
            assert_equal(layer, own)
        assert load_network(path).fingerprint == network.fingerprint


def assert_equal(layer, other):
    assert type(layer) is type(other)
    for field in fields(layer):
        first, second = (getattr(each, field.name) for each in (layer, other))
        if isinstance(first, np.ndarray):
            np.testing.assert_array_equal(first, second)
        else:
            assert first == second, field.name


OURS = {key: each for key, each in ALONE.items() if each[0].keras_name.startswith("probe>")} | {
    "broadcast of a number": (Broadcast("b", (2, 3)), (1,)),
    "stochastic depth": (Noise("n", "StochasticDepth", 0.2), (3,)),
    "cropping of signals, channels first": (Cropping1D("c", (1, 2), "channels_first"), (2, 6)),
    "power": (ActivationLayer("p", Power(-0.5)), (3,)),
    "clip below": (ActivationLayer("c", Clip(0.25)), (3,)),
    "clip in a layer": (Dense("d", np.ones((3, 2), "f4"), activation_name=Clip(None, 0.25)), (3,)),
    "negative": (ActivationLayer("n", "negative"), (3,)),
}


@pytest.mark.parametrize("name", OURS)
def test_what_keras_lacks_comes_back_as_it_was(tmp_path, name):
    layer, shape = OURS[name]
    assert_equal(layer, load_network(save_network(Network((layer,), shape), tmp_path / "ours.h5")).layers[0])


def test_two_inputs_are_divided_again(tmp_path):
    network = Network(
        (Rescaling("double", 2.0), Divide("ratio")),
        (3,),
        more_input_shapes=((2, 3),),
        wiring=((0,), ("double", 1)),
    )
    again = load_network(save_network(network, tmp_path / "ours.h5"))
    xs = [np.random.default_rng(0).random((2, *shape)).astype("f4") for shape in network.input_shapes]
    np.testing.assert_array_equal(again.outputs(xs), network.outputs(xs))


@pytest.mark.parametrize(
    ("class_name", "config", "match"),
    [
        ("probe>Reduce", {"kind": "mean", "axes": [0]}, "axes = [0], expected axes"),
        (
            "probe>Reduce",
            {"kind": "median", "axes": [1]},
            "kind = 'median', expected mean or sum or max or min",
        ),
        (
            "probe>Slice",
            {"starts": [0, 0], "stops": [1, 1], "steps": [0, 1]},
            "steps must be other than 0, got (0, 1)",
        ),
        ("probe>Slice", {"starts": [7], "stops": [9], "steps": [1]}, "takes inputs of 1 axes"),
        ("probe>Pad", {"margins": [[1]]}, "margins = [[1]], expected counts"),
        ("probe>Pad", {"margins": [[0, 0], [1 << 27, 1 << 27], [1 << 20, 0]]}, "values"),
        ("probe>Affine", {}, "has neither scale_shape nor shift_shape"),
        (
            "probe>Affine",
            {"scale_shape": [7]},
            "scale_shape = [7], which does not fit inputs of shape (6, 5, 4)",
        ),
        ("probe>Broadcast", {"shape": [1 << 20, 6, 5, 4]}, "values"),
        ("probe>GLU", {"axis": 2}, "halves axis 2, but gets shape (6, 5, 4)"),
        ("Resizing", {"height": 1 << 20, "width": 1}, "needs an array of"),
        ("UpSampling2D", {"size": [1 << 18, 1], "interpolation": "bilinear"}, "needs an array of"),
        (
            "Resizing",
            {"height": 2, "width": 2, "interpolation": "area"},
            "interpolation = 'area', expected bilinear",
        ),
        ("RandomCrop", {"height": 2, "width": 2}, "put a CenterCrop or a Resizing in its place"),
        ("Activation", {"activation": "glu"}, "call keras.ops.glu in its place"),
        ("GroupNormalization", {"groups": 3}, "4 channels cannot be split into 3 groups"),
        ("UnitNormalization", {"axis": [1, 2]}, "has 2 axes, over which Keras 3 takes no length"),
        (
            "LocallyConnected2D",
            {"kernel_size": 2, "filters": 3, "implementation": 2},
            "implementation = 2 or 3",
        ),
        ("Conv1D", {"kernel_size": 2, "filters": 3}, "takes signals of two axes, but gets shape (6, 5, 4)"),
        (
            "LayerScale",
            {"projection_dim": 3},
            "projection_dim = 3, which does not fit inputs of shape (6, 5, 4)",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_one_line(tmp_path, class_name, config, match):
    path = save_network(Network((ActivationLayer("odd", "relu"),), (6, 5, 4)), tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        model = json.loads(file.attrs["model_config"])
        model["config"]["layers"][-1] = {"class_name": class_name, "config": {"name": "odd", **config}}
        file.attrs["model_config"] = json.dumps(model)
    with pytest.raises(ModelFileError, match=re.escape(match)) as caught:
        load_network(path)
    assert "layer 'odd'" in str(caught.value) and "\n" not in str(caught.value)


def test_the_layers_of_convnext_are_a_scale_and_nothing(keras, tmp_path):
    from keras.src.applications.convnext import LayerScale, StochasticDepth

    rng = np.random.default_rng(0)
    scale = LayerScale(0.5, 4, name="scale")
    model = keras.Sequential([keras.layers.Input(IMAGE), scale, StochasticDepth(0.25, name="depth")])
    scale.gamma.assign(rng.normal(size=4))
    model.save(tmp_path / "theirs.keras")
    network = load_network(tmp_path / "theirs.keras")
    x = rng.normal(size=(3, *IMAGE)).astype("f4")
    np.testing.assert_allclose(network.outputs(x), model.predict(x, verbose=0), rtol=1e-6)
    assert network.layer("depth") == Noise("depth", "StochasticDepth", 0.25)
    again = load_network(save_network(network, tmp_path / "ours.h5"))
    np.testing.assert_array_equal(again.outputs(x), network.outputs(x))


@pytest.mark.parametrize("keras_version", ["2.15.0", "3.0.0"])
def test_random_crop_at_prediction_is_that_of_keras_2_or_nothing(tmp_path, keras_version):
    path = save_network(Network((ActivationLayer("crop", "relu"),), (6, 5, 4)), tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        model = json.loads(file.attrs["model_config"])
        crop = {"class_name": "RandomCrop", "config": {"name": "crop", "height": 3, "width": 4}}
        model["config"]["layers"][-1] = crop
        file.attrs["model_config"] = json.dumps(model)
        file.attrs["keras_version"] = file["model_weights"].attrs["keras_version"] = keras_version
    if keras_version == "3.0.0":
        with pytest.raises(
            ModelFileError, match="versions of Keras 3 do in different ways; put a CenterCrop"
        ):
            load_network(path)
        return
    assert load_network(path).layers[0] == Resizing("crop", 3, 4, crop_to_aspect_ratio=True)
