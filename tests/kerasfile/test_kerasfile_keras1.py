"""Files of Keras 1, where they have one meaning: kernels of Theano are turned around, and lie with their filters first."""

import numpy as np
import pytest
from keras_writing import legacy_file
from scipy.signal import correlate

from probe._errors import ModelFileError
from probe.storage import load_network

RNG = np.random.default_rng(4)
KERNEL, BIAS = RNG.normal(size=(3, 3, 2, 5)).astype("f4"), RNG.normal(size=5).astype("f4")
W, B = RNG.normal(size=(20, 3)).astype("f4"), RNG.normal(size=3).astype("f4")
IMAGES = RNG.normal(size=(2, 6, 6, 2)).astype("f4")


def layer(class_name, name, **config):
    return {"class_name": class_name, "config": {"name": name, "trainable": True} | config}


def dense(name, n, **config):
    settings = {
        "output_dim": n,
        "init": "glorot_uniform",
        "activation": "linear",
        "bias": True,
        "input_dim": None,
    }
    return layer("Dense", name, **settings | config)


def convolution(order, **config):
    shape = [None, 2, 6, 6] if order == "th" else [None, 6, 6, 2]
    settings = {
        "batch_input_shape": shape, "input_dtype": "float32", "init": "glorot_uniform", "nb_filter": 5, "nb_row": 3,
        "nb_col": 3, "subsample": [1, 1], "border_mode": "valid", "dim_ordering": order, "activation": "relu",
        "W_regularizer": None, "b_regularizer": None, "activity_regularizer": None, "W_constraint": None,
        "b_constraint": None, "bias": True,
    }  # fmt: skip
    return layer("Convolution2D", "conv", **settings | config)


def written(tmp_path, layers, weights, version="1.2.2"):
    return legacy_file(
        tmp_path / "a.h5", {"class_name": "Sequential", "config": layers}, weights, version=version
    )


def network_of(tmp_path, order, ending):
    pool = layer(
        "MaxPooling2D", "pool", pool_size=[2, 2], strides=[2, 2], border_mode="valid", dim_ordering=order
    )
    layers = [
        convolution(order),
        pool,
        layer("Dropout", "drop", p=0.25),
        layer("Flatten", "flat"),
        dense("out", 3),
    ]
    kernel = KERNEL.transpose(3, 2, 0, 1) if order == "th" else KERNEL
    weights = {
        "conv": [(f"conv_W{ending}", kernel), (f"conv_b{ending}", BIAS)],
        "pool": [], "drop": [], "flat": [],
        "out": [(f"out_W{ending}", W), (f"out_b{ending}", B)],
    }  # fmt: skip
    return load_network(written(tmp_path, layers, weights))


@pytest.mark.parametrize("ending", [":0", ""], ids=["tensorflow", "theano"])
@pytest.mark.parametrize("order", ["th", "tf"])
def test_convolutions_are_read_as_each_backend_computed_them(tmp_path, order, ending):
    kernel = KERNEL if ending else KERNEL[::-1, ::-1]
    maps = np.stack(
        [[correlate(image, kernel[..., k], "valid")[..., 0] + BIAS[k] for k in range(5)] for image in IMAGES]
    )
    pooled = np.maximum(maps, 0).reshape(2, 5, 2, 2, 2, 2).max(axis=(3, 5))
    flat = pooled.reshape(2, -1) if order == "th" else np.moveaxis(pooled, 1, -1).reshape(2, -1)
    x = np.moveaxis(IMAGES, -1, 1) if order == "th" else IMAGES
    np.testing.assert_allclose(
        network_of(tmp_path, order, ending).outputs(x), flat @ W + B, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("version", ["1.2.2", None])
def test_chains_of_dense_layers_are_read(tmp_path, version):
    rng = np.random.default_rng(5)
    gamma, beta, mean, std = (rng.uniform(0.5, 1.5, 4).astype("f4") for _ in range(4))
    kernel, slopes = rng.normal(size=(6, 4)).astype("f4"), rng.normal(size=4).astype("f4")
    norm = layer(
        "BatchNormalization", "norm", mode=0, axis=-1, epsilon=1e-3, momentum=0.99, gamma_regularizer=None
    )
    layers = [
        dense("a", 4, batch_input_shape=[None, 6], bias=False, W_regularizer=None),
        norm,
        layer("PReLU", "prelu", init="zero"),
        layer("Activation", "act", activation="softmax"),
    ]
    names = ("gamma", "beta", "running_mean", "running_std")
    weights = {
        "a": [("a_W", kernel)],
        "norm": [
            (f"norm_{name}", values) for name, values in zip(names, (gamma, beta, mean, std), strict=True)
        ],
        "prelu": [("prelu_alphas", slopes)],
        "act": [],
    }
    network = load_network(written(tmp_path, layers, weights, version))
    x = rng.normal(size=(3, 6)).astype("f4")
    z = (x @ kernel - mean) / np.sqrt(std + 1e-3) * gamma + beta
    z = np.exp(np.where(z > 0, z, z * slopes))
    np.testing.assert_allclose(network.outputs(x), z / z.sum(1, keepdims=True), rtol=1e-4)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (
            layer("Highway", "conv"),
            "written by Keras 1.x, which cannot be read; load the file with Keras 2.0 to 2.3",
        ),
        (layer("BatchNormalization", "conv", mode=1), "written by Keras 1.x, with mode = 1"),
        (convolution("default"), "dim_ordering = 'default', which does not say where the channels are"),
        (convolution("th", unknown=3), "with unknown = 3, which cannot be read"),
        (
            convolution("th", border_mode="same", subsample=[2, 2]),
            "on Theano, whose padding 'same' is not read",
        ),
        (layer("Merge", "conv", mode="dot"), "written by Keras 1.x, which cannot be read"),
    ],
)
def test_what_has_several_meanings_is_said_to_be_of_keras_1(tmp_path, changed, problem):
    kernel = KERNEL.transpose(3, 2, 0, 1)
    weights = {"conv": [("conv_W", kernel), ("conv_b", BIAS)]}
    with pytest.raises(ModelFileError, match=rf"layer 'conv' \(\w+\) is .*{problem}") as caught:
        load_network(written(tmp_path, [changed], weights))
    assert "\n" not in str(caught.value)


def test_kernels_whose_names_say_no_backend_are_refused(tmp_path):
    weights = {"conv": [("param_0", KERNEL), ("param_1", BIAS)]}
    with pytest.raises(ModelFileError, match="do not say which backend wrote it"):
        load_network(written(tmp_path, [convolution("tf")], weights))
