"""Against the real thing: models of every shape and layer that Keras saves, read; read again by Keras."""

import numpy as np
import pytest

from probe.storage import load_network, save_network

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*HDF5 file.*"),
    pytest.mark.filterwarnings("ignore:.*copy keyword.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Argument `alpha` is deprecated.*"),
    pytest.mark.filterwarnings("ignore:The structure of `inputs`.*"),
]

MODELS = {}


def model(build):
    MODELS[build.__name__] = build
    return build


@model
def misnamed(k, keras):
    layers = [k.Dense(6, name="z2"), k.Dense(5, name="dense_1"), k.Dense(3, name="dense")]
    return keras.Sequential([k.Input((4,)), *layers])


@model
def chunked_attributes(k, keras):
    layers = [k.Dense(4, name=f"d{place}" + "x" * 6500) for place in range(12)]
    return keras.Sequential([k.Input((4,)), *layers])


def block(k, keras, frozen):
    layers = [
        k.Conv2D(3, 3, name="c1"),
        k.BatchNormalization(name="b1", trainable=not frozen),
        k.Conv2D(3, 2, name="c2"),
        k.BatchNormalization(name="b2"),
    ]
    return keras.Sequential([k.Input((6, 6, 2)), *layers], name="inner")


@model
def nested_frozen(k, keras):
    return keras.Sequential([k.Input((6, 6, 2)), block(k, keras, frozen=True), k.Flatten(), k.Dense(3)])


@model
def nested_frozen_around_a_trainable_layer(k, keras):
    inner = block(k, keras, frozen=False)
    inner.trainable = False
    inner.layers[0].trainable = True
    return keras.Sequential([k.Input((6, 6, 2)), inner, k.Flatten(), k.Dense(3)])


@model
def nested_shared(k, keras):
    i = k.Input((5,))
    h = k.Dense(4, activation="tanh", name="h")(i)
    encoder = keras.Model(i, [h, k.Dense(2, name="g")(h)], name="enc")
    a, b = k.Input((5,), name="a"), k.Input((5,), name="b")
    h1, g1 = encoder(a)
    h2, g2 = encoder(b)
    outputs = [k.Concatenate()([h1, g2]), k.Add()([h2, h1]), h2, k.Subtract()([g2, g1])]
    return keras.Model([a, b], outputs)


@model
def nested_shared_sequential(k, keras):
    inner = keras.Sequential([k.Input((5,)), k.Dense(4, name="q")], name="s")
    a, b = k.Input((5,), name="a"), k.Input((5,), name="b")
    return keras.Model([b, a], [inner(a), inner(b), k.Subtract()([inner(a), inner(b)])])


@model
def shared_inside_and_outside(k, keras):
    i, d = k.Input((3,)), k.Dense(3, name="d", activation="tanh")
    inner = keras.Model(i, d(d(i)), name="m")
    a = k.Input((3,))
    return keras.Model(a, k.Add()([inner(a), inner(inner(a))]))


@model
def functional_multi(k, keras):
    b, a = k.Input((4,), name="b_in"), k.Input((4,), name="a_in")
    shared = k.Dense(3, activation="relu", name="sh")
    x, y = shared(a), shared(b)
    merged = [k.Multiply()([x, y]), k.Maximum()([x, y]), k.Minimum()([x, y, x]), k.Average()([x, y])]
    return keras.Model([a, b], merged)


@model
def normalizations(k, keras):
    layers = [
        k.Normalization(mean=[1.0, 2, 3], variance=[2.0, 3, 4]),
        k.Normalization(axis=(1, 2), mean=0.5, variance=2.0, invert=True),
        k.LayerNormalization(),
        k.LayerNormalization(axis=-2, center=False),
        k.Permute((2, 1)),
        k.Flatten(),
        k.Dense(2, activation="log_softmax"),
    ]
    return keras.Sequential([k.Input((4, 3)), *layers])


@model
def channels_first(k, keras):
    first = {"data_format": "channels_first"}
    layers = [
        k.MaxPooling2D(2, **first),
        k.BatchNormalization(axis=1),
        k.ZeroPadding2D(1, **first),
        k.UpSampling2D(2, **first),
        k.Cropping2D(((1, 0), (2, 1)), **first),
        k.GlobalAveragePooling2D(keepdims=True, **first),
        k.Flatten(**first),
        k.Dense(3),
    ]
    return keras.Sequential([k.Input((3, 8, 7)), *layers])


@model
def convolutions(k, keras):
    i = k.Input((7, 8, 4))
    outputs = [
        k.Conv2D(6, 3, groups=2, dilation_rate=2)(i),
        k.Conv2D(5, (3, 2), strides=(2, 3), padding="same", use_bias=False, activation=k.LeakyReLU(0.1))(i),
        k.DepthwiseConv2D(3, depth_multiplier=3, activation="relu")(i),
        k.SeparableConv2D(5, 3, depth_multiplier=2, use_bias=False, dilation_rate=2, padding="same")(i),
        k.Conv2DTranspose(3, 3, strides=2, padding="same", output_padding=1)(i),
        k.Conv2DTranspose(3, 4, strides=3)(i),
        k.Conv2DTranspose(3, 3, dilation_rate=2)(i),
    ]
    return keras.Model(i, outputs)


@model
def broadcasting(k, keras):
    i = k.Input((5, 4, 3))
    mean = k.GlobalAveragePooling2D(keepdims=True)(i)
    most = k.GlobalMaxPooling2D(keepdims=True)(i)
    x = k.Multiply()([i, k.Dense(3, activation="sigmoid")(mean)])
    joined = [k.Concatenate(axis=1)([i, x]), k.Concatenate(axis=-2)([i, x]), k.Add()([i, most])]
    return keras.Model(i, [x, *joined, k.Average()([mean, most])])


NAMES = """relu relu6 selu celu silu softsign hard_sigmoid hard_silu exponential mish log_sigmoid tanh_shrink
hard_tanh hard_shrink soft_shrink squareplus sparse_plus sparse_sigmoid leaky_relu elu gelu softplus sigmoid
tanh swish hard_swish log_softmax softmax"""


@model
def activations(k, keras):
    i = k.Input((6,))
    outputs = [k.Dense(4, activation=name)(i) for name in NAMES.split()]
    layers = [k.ReLU(6, 0.1, 0.2), k.LeakyReLU(0.05), k.ELU(0.3), k.PReLU(), k.Softmax(axis=1), k.Identity()]
    layers += [k.Dense(3, activation=k.ELU(0.5)), k.Dense(3, activation=k.Softmax(axis=-1))]
    layers += [k.Rescaling(1 / 3, [0.1] * 6), k.Rescaling([1.0, 2, 3, 4, 5, 6])]
    layers += [k.GaussianNoise(0.1), k.GaussianDropout(0.2), k.AlphaDropout(0.1)]
    layers += [k.ActivityRegularization(0.1, 0.2), k.Dropout(0.4)]
    return keras.Model(i, outputs + [layer(i) for layer in layers])


@model
def models_inside_models(k, keras):
    i = k.Input((4,))
    inner = keras.Model(i, k.Dense(4, name="d0")(i), name="m0")
    for level in range(1, 5):
        i = k.Input((4,))
        x = k.Dense(4, name=f"d{level}", trainable=level != 2, activation="tanh")(inner(i))
        inner = keras.Model(i, x, name=f"m{level}")
    return inner


def built(keras, name):
    keras.utils.clear_session()
    found = MODELS[name](keras.layers, keras)
    rng = np.random.default_rng(0)
    for weight in found.weights:
        if "seed" in weight.path or "count" in weight.path:
            continue
        values = rng.normal(size=weight.shape)
        positive = "variance" in weight.path or "gamma" in weight.path
        weight.assign(0.7 + 0.3 * np.abs(values) if positive else values * 0.5)
    xs = [rng.normal(size=(2, *tensor.shape[1:])).astype("f4") for tensor in found.inputs]
    return found, xs


def listed(values):
    return [np.asarray(value) for value in (values if isinstance(values, (list, tuple)) else [values])]


def given(xs):
    return tuple(xs) if len(xs) > 1 else xs[0]


# Keras 3 writes the weights of a model three levels deep under the same names twice, and fails.
KINDS = dict.fromkeys(MODELS, ("h5", "keras", "json")) | {"models_inside_models": ("keras", "json")}


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name in MODELS for kind in KINDS[name]])
def test_we_compute_what_keras_computes(keras, tmp_path, name, kind):
    saved, xs = built(keras, name)
    if kind == "json":
        (tmp_path / "a.json").write_text(saved.to_json())
        saved.save_weights(tmp_path / "a.weights.h5")
        network = load_network(tmp_path / "a.weights.h5", architecture=tmp_path / "a.json")
    else:
        saved.save(tmp_path / f"a.{kind}")
        network = load_network(tmp_path / f"a.{kind}")
    expected = listed(saved(xs if len(xs) > 1 else xs[0], training=False))
    for found, other in zip(network.all_outputs(given(xs)), expected, strict=True):
        np.testing.assert_allclose(found, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["h5", "keras"])
@pytest.mark.parametrize("name", MODELS)
def test_keras_computes_what_we_save_and_so_do_we(keras, tmp_path, name, kind):
    saved, xs = built(keras, name)
    saved.save(tmp_path / "a.keras")
    network = load_network(tmp_path / "a.keras")
    again = load_network(save_network(network, tmp_path / f"b.{kind}"))
    assert again.fingerprint == network.fingerprint
    assert (again.layer_names, again.wiring, again.output_names, again.input_shapes) == (
        network.layer_names,
        network.wiring,
        network.output_names,
        network.input_shapes,
    )
    assert again.n_parameters == network.n_parameters
    outputs = network.all_outputs(given(xs))
    for found, other in zip(again.all_outputs(given(xs)), outputs, strict=True):
        np.testing.assert_array_equal(found, other)
    if (name, kind) == ("normalizations", "h5"):
        # Keras takes a list of axes for one axis when it reads .h5, its own files included.
        return
    theirs = keras.models.load_model(tmp_path / f"b.{kind}", compile=False)
    for found, other in zip(listed(theirs(xs if len(xs) > 1 else xs[0])), outputs, strict=True):
        np.testing.assert_allclose(found, other, atol=1e-5, rtol=1e-5)
