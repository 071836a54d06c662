import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from probe import InputError, from_sklearn, from_torch
from probe.layers import Conv2D, Dense
from probe.storage import load_network, save_network

X = np.random.default_rng(0).normal(size=(60, 12))


def fitted(y, **settings):
    with pytest.warns(ConvergenceWarning):
        return MLPClassifier((7, 5), max_iter=5, random_state=0, **settings).fit(X, y)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("names", [("a", "b", "c"), (0, 1), (3, 5, 8, 9)])
def test_a_classifier_of_sklearn_keeps_its_probabilities_and_classes(activation, names):
    model = fitted(np.array(names)[np.arange(60) % len(names)], activation=activation)
    network = from_sklearn(model)
    assert network.layer_names == ("hidden_1", "hidden_2", "output") and network.input_shape == (12,)
    assert network.class_names == tuple(map(str, names))
    np.testing.assert_allclose(network.outputs(X), model.predict_proba(X), rtol=1e-10)
    found = np.array(network.class_names)[network.predict(X)]
    np.testing.assert_array_equal(found, model.predict(X).astype(str))


def test_the_inputs_of_a_classifier_can_be_images():
    model = fitted(np.arange(60) % 3)
    network = from_sklearn(model, (3, 4))
    assert network.layer_names[0] == "flatten"
    np.testing.assert_allclose(network.outputs(X.reshape(-1, 3, 4)), model.predict_proba(X), rtol=1e-10)
    with pytest.raises(InputError, match=r"input_shape must have 12 values, .* got \(3, 5\)"):
        from_sklearn(model, (3, 5))
    with pytest.raises(InputError, match="input_shape must be a tuple of positive integers"):
        from_sklearn(model, (3, -4))


def test_the_weights_are_copies():
    model = fitted(np.arange(60) % 3)
    network = from_sklearn(model)
    before = network.outputs(X)
    model.coefs_[0][:] = 0
    np.testing.assert_array_equal(network.outputs(X), before)


def test_what_is_no_fitted_classifier_is_refused():
    with pytest.raises(InputError, match="model must be a scikit-learn MLPClassifier, got MLPRegressor"):
        from_sklearn(MLPRegressor())
    with pytest.raises(InputError, match="got Pipeline; pass the classifier in it"):
        from_sklearn(make_pipeline(StandardScaler(), MLPClassifier()))
    with pytest.raises(InputError, match="must be fitted"):
        from_sklearn(MLPClassifier())
    with pytest.raises(InputError, match="several labels"):
        from_sklearn(fitted(np.random.default_rng(0).integers(2, size=(60, 3))))


def test_without_torch_there_is_a_sentence(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch.nn", None)
    with pytest.raises(InputError, match="PyTorch cannot be imported"):
        from_torch(object(), (3,))


@pytest.fixture(scope="module")
def nn():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    torch.set_num_threads(1)
    return torch.nn


def outputs(module, x):
    """Return what a PyTorch module computes, with the channels of images last on both sides."""
    import torch

    x = torch.as_tensor(np.moveaxis(x, -1, 1).copy() if x.ndim == 4 else x)
    with torch.no_grad():
        y = module.eval()(x).numpy()
    return np.moveaxis(y, 1, -1) if y.ndim == 4 else y


def used(nn, *members):
    """Return a Sequential whose normalizations have seen data, and whose scales and slopes are no ones."""
    import torch

    module = nn.Sequential(*members)
    for member in module.modules():
        if hasattr(member, "running_var") and member.running_var is not None:
            member.running_mean.normal_()
            member.running_var.uniform_(0.5, 2.0)
        if (
            isinstance(member, (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.PReLU))
            and member.weight is not None
        ):
            torch.nn.init.uniform_(member.weight, -1.0, 1.0)
    return module


def assert_same(module, shape, n_samples=3, path=None):
    x = np.random.default_rng(1).normal(size=(n_samples, *shape)).astype("f4")
    network = from_torch(module, shape)
    expected = outputs(module, x)
    assert network.outputs(x).dtype == np.float32
    np.testing.assert_allclose(network.outputs(x), expected, rtol=1e-5, atol=1e-5)
    if path is not None:
        again = load_network(save_network(network, path))
        np.testing.assert_array_equal(again.outputs(x), network.outputs(x))
    return network


ACTIVATIONS = {
    "CELU": {}, "ELU": {"alpha": 0.7}, "GELU": {}, "Hardshrink": {}, "Hardsigmoid": {}, "Hardswish": {},
    "Hardtanh": {}, "LeakyReLU": {"negative_slope": 0.2}, "LogSigmoid": {}, "LogSoftmax": {"dim": 1}, "Mish": {},
    "PReLU": {}, "ReLU": {}, "ReLU6": {}, "SELU": {}, "SiLU": {}, "Sigmoid": {}, "Softmax": {"dim": -1},
    "Softplus": {}, "Softshrink": {}, "Softsign": {}, "Tanh": {}, "Tanhshrink": {},
}  # fmt: skip


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_activations_are_those_of_torch(nn, kind):
    activation = getattr(nn, kind)(**ACTIVATIONS[kind])
    network = assert_same(used(nn, nn.Linear(6, 40), activation, nn.Linear(40, 3)), (6,))
    # An activation is part of the layer in front, but for one that has weights.
    assert len(network.layers) == (3 if kind == "PReLU" else 2)
    assert_same(used(nn, activation), (4, 5, 3))


def test_a_softmax_over_any_axis(nn):
    for kind in (nn.Softmax, nn.LogSoftmax):
        for dim in (1, 2, 3, -1, -2, -3):
            assert_same(nn.Sequential(kind(dim)), (4, 5, 3))


IMAGES = {
    "padding": lambda nn: [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 3, padding=2)],
    "padding by one axis": lambda nn: [nn.Conv2d(3, 8, (3, 5), padding=(0, 2))],
    "padding of strides": lambda nn: [nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.Conv2d(8, 4, 2, 2, 1)],
    "padding same": lambda nn: [nn.Conv2d(3, 8, 4, padding="same", bias=False), nn.Conv2d(8, 2, 3, padding="valid")],
    "dilation": lambda nn: [nn.Conv2d(3, 8, 3, dilation=2, padding=2), nn.Conv2d(8, 4, (2, 3), dilation=(3, 1))],
    "groups": lambda nn: [nn.Conv2d(3, 6, 3, groups=3), nn.Conv2d(6, 8, 3, stride=(1, 2), groups=2)],
    "normalization": lambda nn: [nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8, eps=0.1), nn.ReLU()],
    "normalization without weights": lambda nn: [nn.BatchNorm2d(3, affine=False), nn.Dropout2d(0.2)],
    "maxima": lambda nn: [nn.MaxPool2d(2), nn.MaxPool2d((3, 2), stride=1)],
    "maxima that cut": lambda nn: [nn.MaxPool2d(4), nn.MaxPool2d(2, 1)],
    "means": lambda nn: [nn.AvgPool2d(3, stride=2, padding=1), nn.AvgPool2d((1, 2))],
    "means of what is inside": lambda nn: [nn.AvgPool2d(3, 1, 1, count_include_pad=False)],
    "of all": lambda nn: [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4)],
    "of parts": lambda nn: [nn.AdaptiveAvgPool2d((5, 2)), nn.AdaptiveMaxPool2d((1, None))],
    "of all maxima": lambda nn: [nn.AdaptiveMaxPool2d((1, 1))],
    "slopes": lambda nn: [nn.Conv2d(3, 8, 3), nn.PReLU(8), nn.PReLU()],
    "more pixels": lambda nn: [nn.ZeroPad2d((1, 0, 2, 3)), nn.Upsample(scale_factor=2)],
    "softmax over the height": lambda nn: [nn.Softmax(2), nn.Softmax(-1)],
}  # fmt: skip


@pytest.mark.parametrize("name", IMAGES)
def test_layers_of_images_are_those_of_torch(nn, tmp_path, name):
    assert_same(used(nn, *IMAGES[name](nn)), (10, 12, 3), path=tmp_path / "a.h5")


def test_max_pooling_pads_where_it_is_that_of_same(nn):
    assert_same(nn.Sequential(nn.MaxPool2d(3, 2, 1)), (11, 13, 2))
    with pytest.raises(InputError, match=r"module 'maxpool2d_0' \(MaxPool2d\) has padding=1, .* 10 x 12"):
        from_torch(nn.Sequential(nn.MaxPool2d(3, 2, 1)), (10, 12, 2))


def test_flattened_images_keep_the_order_of_their_channels(nn, tmp_path):
    module = used(
        nn, nn.Conv2d(3, 4, 3), nn.Tanh(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 4 * 5, 6), nn.ReLU(),
        nn.BatchNorm1d(6), nn.Dropout(0.5), nn.LayerNorm(6), nn.Linear(6, 3), nn.Softmax(dim=1),
    )  # fmt: skip
    network = assert_same(module, (10, 12, 3), path=tmp_path / "a.h5")
    assert network.layer_names[:4] == ("conv2d_0", "maxpool2d_2", "flatten_3_order", "flatten_3")
    assert isinstance(network.layers[0], Conv2D) and network.layers[0].activation.name == "tanh"
    assert network.layers[-1].activation.name == "softmax"


def test_images_without_channels_are_flattened(nn):
    module = nn.Sequential(nn.Flatten(), nn.Linear(20, 3))
    network = assert_same(module, (4, 5))
    assert network.layer_names == ("flatten_0", "linear_1")
    x = np.random.default_rng(0).normal(size=(2, 4, 5)).astype("f4")
    np.testing.assert_allclose(network.outputs(x), outputs(module, x[..., None]), atol=1e-6)


def test_values_become_images(nn):
    module = nn.Sequential(nn.Linear(4, 24), nn.Unflatten(1, (2, 3, 4)), nn.Conv2d(2, 3, 2))
    assert_same(module, (4,))


def test_sequences_of_vectors(nn):
    assert_same(
        used(nn, nn.Linear(5, 6), nn.BatchNorm1d(4), nn.PReLU(4), nn.LayerNorm(6), nn.Softmax(1)), (4, 5)
    )


def test_sequentials_inside_and_names(nn):
    from collections import OrderedDict

    shared = nn.Linear(5, 5)
    inner = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), shared)
    module = nn.Sequential(
        OrderedDict(features=inner, again=shared, drop=nn.Identity(), head=nn.Linear(5, 2))
    )
    network = assert_same(module, (4,))
    assert network.layer_names == ("features/linear_0", "features/linear_2", "again", "head")
    assert from_torch(module, (4,), ("no", "yes")).class_names == ("no", "yes")


def test_types_of_numbers(nn):
    import torch

    module = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2, bias=False))
    x = np.random.default_rng(0).normal(size=(3, 4))
    wide = from_torch(module.double(), (4,))
    np.testing.assert_allclose(wide.outputs(x), outputs(module, x), rtol=1e-12)
    narrow = from_torch(module.to(torch.bfloat16), (4,))
    assert {layer.kernel.dtype for layer in narrow.layers} == {np.dtype("f4")}
    kept = narrow.layers[0].kernel.copy()
    with torch.no_grad():
        module[0].weight.zero_()
    np.testing.assert_array_equal(narrow.layers[0].kernel, kept)
    assert isinstance(narrow.layers[1], Dense) and narrow.layers[1].bias is None


def test_a_module_in_training_is_taken_as_in_eval_and_left_as_it_was(nn):
    module = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5)).train()
    from_torch(module, (4,))
    assert module.training and module[1].training


@pytest.mark.parametrize(
    ("make", "shape", "match"),
    [
        (lambda nn: nn.Linear(2, 3), (2,), "must be a torch.nn.Sequential, got Linear"),
        (lambda nn: nn.Sequential(nn.LSTM(2, 3)), (2,), "module 'lstm_0' is a LSTM, which cannot be taken over"),
        (lambda nn: nn.Sequential(type("Linear", (nn.Linear,), {})(2, 3)), (2,), "'linear_0' is a Linear, which"),
        (lambda nn: nn.Sequential(nn.LazyLinear(3)), (2,), "is a LazyLinear"),
        (lambda nn: nn.Sequential(nn.Linear(2, 3)), (4, 4, 2), "put a Flatten before it"),
        (lambda nn: nn.Sequential(nn.Linear(2, 3)), (3,), "layer 'linear_0' takes 2 inputs"),
        (lambda nn: nn.Sequential(nn.Conv2d(1, 2, 3)), (28, 28), "takes images, but gets shape"),
        (lambda nn: nn.Sequential(nn.Conv2d(1, 2, 3)), (1, 28, 28), "takes images of 1 channels, but gets 28"),
        (
            lambda nn: nn.Sequential(nn.Conv2d(1, 2, 3, padding_mode="reflect")),
            (8, 8, 1),
            "has padding_mode='reflect', which cannot be taken over; 'zeros' can",
        ),
        (lambda nn: nn.Sequential(nn.GELU(approximate="tanh")), (3,), "has approximate='tanh'"),
        (lambda nn: nn.Sequential(nn.Softplus(beta=2)), (3,), "has beta=2"),
        (lambda nn: nn.Sequential(nn.Softmax(dim=0)), (3,), "is over axis 0"),
        (lambda nn: nn.Sequential(nn.Flatten(2)), (4, 4, 3), "goes from axis 2 to -1"),
        (lambda nn: nn.Sequential(nn.MaxPool2d(2, ceil_mode=True)), (5, 4, 1), "ceil_mode=True"),
        (lambda nn: nn.Sequential(nn.MaxPool2d(2, dilation=2)), (5, 4, 1), "has dilation=2"),
        (lambda nn: nn.Sequential(nn.MaxPool2d(2, return_indices=True)), (4, 4, 1), "has return_indices=True"),
        (lambda nn: nn.Sequential(nn.AdaptiveAvgPool2d(3)), (7, 7, 1), "windows of several sizes"),
        (lambda nn: nn.Sequential(nn.BatchNorm1d(3, track_running_stats=False)), (3,), "no running statistics"),
        (lambda nn: nn.Sequential(nn.Linear(2, 3)), (0,), r"input_shape must be a tuple of positive integers, \(n_in,\)"),
        (lambda nn: nn.Sequential(), (2,), "at least one layer"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_over_is_refused(nn, make, shape, match):
    with pytest.raises(InputError, match=match):
        from_torch(make(nn), shape)


def test_hooks_are_refused(nn):
    module = nn.Sequential(nn.Linear(2, 3))
    module[0].register_forward_hook(lambda module, x, y: y + 1)
    with pytest.raises(InputError, match="module 'linear_0' has hooks"):
        from_torch(module, (2,))
    with pytest.raises(InputError, match="ParametrizedLinear"):
        from_torch(nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))), (2,))
