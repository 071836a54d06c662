"""What was changed by hand in a model of another library is refused, and the rest is compared with it."""

import warnings

import numpy as np
import pytest
import scipy.sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from probe import InputError, from_sklearn, from_torch
from probe.imports import _sklearn, _untouched

X = np.random.default_rng(0).normal(size=(60, 12))


def fitted(names=("a", "b", "c"), kind=MLPClassifier, **settings):
    model = kind((7, 5), max_iter=5, random_state=0, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, np.array(names)[np.arange(60) % len(names)])


class Flipped(MLPClassifier):
    def predict_proba(self, x):
        return super().predict_proba(x)[:, ::-1]


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "_forward_pass_fast", "_forward_pass", "_predict"]
)
def test_a_method_of_the_classifier_itself_is_refused(method):
    model = fitted()
    setattr(model, method, lambda x, *_, **__: x)
    with pytest.raises(InputError, match=f"model has a {method} of its own, code that is not read"):
        from_sklearn(model)


@pytest.mark.parametrize("method", ["predict_proba", "_forward_pass_fast"])
def test_a_method_that_was_put_into_the_class_is_refused(method, monkeypatch):
    model = fitted()
    monkeypatch.setattr(MLPClassifier, method, MLPClassifier.score)
    with pytest.raises(InputError, match=f"model has a {method} of its own"):
        from_sklearn(model)


def test_a_subclass_is_refused():
    with pytest.raises(
        InputError, match="must be a scikit-learn MLPClassifier, got Flipped, a subclass of it"
    ):
        from_sklearn(fitted(kind=Flipped))


def test_what_the_library_computes_otherwise_is_found(monkeypatch):
    from sklearn.neural_network import _multilayer_perceptron

    model = fitted()
    monkeypatch.setitem(_multilayer_perceptron.ACTIVATIONS, "relu", lambda x: np.tanh(x, out=x))
    with pytest.raises(
        InputError, match=r"model and what was taken over differ by up to [\d.e-]+ for inputs from 0"
    ):
        from_sklearn(model)


def set_first(setting, make):
    def change(model):
        getattr(model, setting)[0] = make(getattr(model, setting)[0])

    return change


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda m: setattr(m, "out_activation_", "identity"), "'softmax' as its out_activation_ .* got 'identity'"),
        (lambda m: setattr(m, "out_activation_", "logistic"), "several labels"),
        (lambda m: setattr(m, "out_activation_", None), "out_activation_ for 3 outputs, got None"),
        (lambda m: setattr(m, "activation", "swish"), "activation of the model must be one of identity, logistic"),
        (lambda m: setattr(m, "activation", ["relu"]), r"activation of the model must be one of .* got \['relu'\]"),
        (lambda m: setattr(m, "n_layers_", 2), "model "),
        (lambda m: setattr(m, "classes_", m.classes_[::-1]), "its predict says 'a' where classes_ says 'c'|says"),
        (lambda m: setattr(m, "classes_", np.array(["a", "b", "a"])), "must be distinct, but 'a' occurs 2 times"),
        (lambda m: setattr(m, "classes_", np.array(["a", "b"])), "class_names must name 3 outputs, got 2"),
        (lambda m: setattr(m, "classes_", np.array(["a", "\ud800", "c"])), "cannot be printed"),
        (lambda m: setattr(m, "classes_", np.array(["a", "<img src=x>", "c"])), "has an HTML tag"),
        (lambda m: setattr(m, "classes_", np.array(["a", "\x1b[2J", "c"])), "cannot be printed"),
        (lambda m: setattr(m, "coefs_", None), "coefs_ of the model must be a list of arrays, got None"),
        (lambda m: setattr(m, "coefs_", []), "coefs_ of the model must be a list"),
        (lambda m: m.intercepts_.pop(), "must be as many, got 3 and 2"),
        (lambda m: delattr(m, "intercepts_"), "has no intercepts_"),
        (lambda m: delattr(m, "classes_"), "has no classes_"),
        (set_first("coefs_", scipy.sparse.csr_matrix), r"coefs_\[0\] of the model must be .* got csr_matrix float64"),
        (set_first("coefs_", lambda w: w[0]), r"coefs_\[0\] of the model must have 2 axes, got shape \(7,\)"),
        (set_first("coefs_", lambda w: w.astype(complex)), "got ndarray complex128"),
        (set_first("coefs_", lambda w: w.astype(int)), "got ndarray int64"),
        (set_first("coefs_", np.ma.masked_array), "got MaskedArray"),
        (set_first("coefs_", lambda w: None), "got NoneType"),
        (set_first("intercepts_", lambda w: w[:, None]), "must have 1 axes"),
        (set_first("intercepts_", lambda w: w[:-1]), "bias must have shape"),
        (set_first("coefs_", lambda w: w[:, :-1]), "bias must have shape|takes"),
    ],
)  # fmt: skip
def test_a_classifier_that_was_changed_is_refused(change, match):
    model = fitted()
    change(model)
    with pytest.raises(InputError, match=match):
        from_sklearn(model)


@pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "c")])
def test_an_activation_that_was_changed_is_that_of_the_probabilities(names):
    model = fitted(names)
    model.activation = "tanh"
    np.testing.assert_allclose(from_sklearn(model).outputs(X), model.predict_proba(X), rtol=1e-10)


def test_class_names_of_numbers_and_comparisons_are_names():
    assert from_sklearn(fitted(("<=50K", ">50K"))).class_names == ("<=50K", ">50K")


@pytest.mark.parametrize("shape", [12, "12", (), (3.0, 4), (True, 12), (3, -4), ((3,), 4), object()])
def test_an_input_shape_that_is_none_is_refused(shape):
    with pytest.raises(InputError, match="input_shape must be a tuple of positive integers"):
        from_sklearn(fitted(), shape)
    if shape != ():
        pytest.importorskip("torch")
        from torch import nn

        with pytest.raises(InputError, match="input_shape must be a tuple of positive integers"):
            from_torch(nn.Sequential(nn.Linear(12, 3)), shape)


def test_a_fit_to_a_table_warns_of_nothing():
    model = fitted()
    model.feature_names_in_ = np.array([f"column {k}" for k in range(12)], dtype=object)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        from_sklearn(model)


def test_imports_leave_the_global_random_numbers_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    from_sklearn(fitted())
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_wrappers_of_the_library_itself_are_no_change():
    assert _untouched.changed_method(fitted(), _sklearn.METHODS) is None


@pytest.fixture
def nn():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    torch.set_num_threads(1)
    return torch.nn


def images(nn):
    return nn.Sequential(
        nn.ZeroPad2d(1), nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(75, 4), nn.Dropout()
    ).eval()  # fmt: skip


PLACES = {"Sequential": None, "zeropad2d_0": 0, "conv2d_1": 1, "batchnorm2d_2": 2, "relu_3": 3, "linear_5": 5}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("method", ["forward", "_call_impl", "_wrapped_call_impl", "extra_repr"])
def test_a_method_of_a_module_itself_is_refused(nn, place, method):
    module = images(nn)
    changed = module if PLACES[place] is None else module[PLACES[place]]
    changed.__dict__[method] = lambda *x: x[0]
    with pytest.raises(
        InputError, match=f"module '{place}' has a {method} of its own, code that is not read"
    ):
        from_torch(module, (5, 5, 1))


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("Conv2d", "_conv_forward"),
        ("Conv2d", "forward"),
        ("ReLU", "forward"),
        ("Linear", "__call__"),
        ("BatchNorm2d", "_check_input_dim"),
        ("Module", "_call_impl"),
        ("Module", "__getattr__"),
        ("Sequential", "forward"),
        ("Sequential", "__iter__"),
    ],
)
def test_a_method_that_was_put_into_a_class_of_torch_is_refused(nn, monkeypatch, kind, method):
    module = images(nn)
    own = getattr(getattr(nn, kind), method, None)
    monkeypatch.setattr(getattr(nn, kind), method, lambda self, *x: own(self, *x), raising=False)
    with pytest.raises(InputError, match=f"has a {method} of its own"):
        from_torch(module, (5, 5, 1))


def test_a_method_of_another_class_of_torch_is_refused(nn, monkeypatch):
    module = images(nn)
    monkeypatch.setattr(nn.ReLU, "forward", nn.Sigmoid.forward)
    with pytest.raises(InputError, match="'relu_3' has a forward of its own"):
        from_torch(module, (5, 5, 1))


@pytest.mark.parametrize("kind", ["forward_hook", "forward_pre_hook"])
@pytest.mark.parametrize("with_kwargs", [False, True])
def test_hooks_of_all_kinds_are_refused(nn, kind, with_kwargs):
    module = images(nn)
    getattr(module[1], f"register_{kind}")(lambda *_: None, with_kwargs=with_kwargs)
    with pytest.raises(InputError, match="module 'conv2d_1' has hooks"):
        from_torch(module, (5, 5, 1))


@pytest.mark.parametrize("kind", ["register_module_forward_hook", "register_module_forward_pre_hook"])
def test_global_hooks_are_refused(nn, kind):
    handle = getattr(nn.modules.module, kind)(lambda *_: None)
    try:
        with pytest.raises(InputError, match="PyTorch has global forward hooks"):
            from_torch(images(nn), (5, 5, 1))
    finally:
        handle.remove()
    from_torch(images(nn), (5, 5, 1))


def test_compiled_modules_are_refused(nn):
    import torch

    module = images(nn)
    with pytest.raises(InputError, match=r"must be a torch\.nn\.Sequential, got OptimizedModule"):
        from_torch(torch.compile(module), (5, 5, 1))
    module[1].compile()
    with pytest.raises(InputError, match="module 'conv2d_1' was compiled"):
        from_torch(module, (5, 5, 1))


def test_parametrizations_are_refused_with_the_way_out(nn):
    module = images(nn)
    nn.utils.parametrizations.weight_norm(module[5])
    with pytest.raises(
        InputError,
        match=r"ParametrizedLinear, .* Call torch\.nn\.utils\.parametrize\.remove_parametrizations first",
    ):
        from_torch(module, (5, 5, 1))


def changed(setting, value, place):
    def change(nn, module):
        setattr(module[place], setting, value)

    return change


def without(setting, place):
    return lambda nn, module: delattr(module[place], setting)


def weights(make, place=5):
    def change(nn, module):
        module[place].weight = nn.Parameter(make(module[place].weight.detach()), requires_grad=False)

    return change


def plain(make, place=5, name="weight"):
    """Put a tensor that is no Parameter where one was."""

    def change(nn, module):
        values = make(getattr(module[place], name).detach())
        delattr(module[place], name)
        setattr(module[place], name, values)

    return change


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (changed("value", 1.0, 0), "has value=1.0, which cannot be taken over; 0.0 can"),
        (changed("padding", 3, 0), "has settings that cannot be read"),
        (changed("padding", None, 0), "has settings that cannot be read"),
        (changed("stride", "a", 1), "has settings that cannot be read"),
        (changed("groups", None, 1), "has settings that cannot be read"),
        (changed("padding_mode", "reflect", 1), "has padding_mode='reflect'"),
        (changed("eps", "small", 2), "has settings that cannot be read"),
        (changed("start_dim", 2, 4), "goes from axis 2"),
        (without("weight", 5), r"module 'linear_5' \(Linear\) has no weight: it was deleted"),
        (without("bias", 1), "has no bias: it was deleted"),
        (without("running_mean", 2), "has no running_mean: it was deleted"),
        (without("eps", 2), "has settings that cannot be read"),
        (weights(lambda w: w[0]), r"has a weight of shape \(75,\); one of 2 axes"),
        (weights(lambda w: w[0, 0], place=1), r"has a weight of shape \(3, 3\); one of 4 axes"),
        (weights(lambda w: w.to_sparse()), r"has a weight of layout torch.sparse_coo; pass weight.to_dense"),
        (weights(lambda w: w.int()), "has a weight of type int32"),
        (weights(lambda w: w.to("meta")), "is on the meta device"),
        (weights(lambda w: w + 1j), "has a weight of type complex64"),
        (weights(lambda w: w * float("nan")), "not finite"),
        (plain(lambda w: w.numpy()), "has a weight that is a ndarray; a plain tensor is taken over"),
        (plain(lambda w: None), "has no weight"),
        (plain(lambda w: w[:3], name="bias"), "bias must have shape"),
        (lambda nn, module: module.add_module("7", None), "module 'nonetype_7' is a NoneType"),
    ],
)  # fmt: skip
def test_a_module_that_was_changed_is_refused(nn, change, match):
    module = images(nn)
    change(nn, module)
    with pytest.raises(InputError, match=match):
        from_torch(module, (5, 5, 1))


def test_a_sequential_inside_itself_is_refused(nn):
    module = nn.Sequential(nn.ReLU())
    module.append(module)
    with pytest.raises(InputError, match="at most 100 Sequentials inside each other"):
        from_torch(module, (5,))


def test_quantised_weights_are_refused(nn):
    import torch

    def quantised(w):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.quantize_per_tensor(w, 0.1, 0, torch.qint8)

    module = images(nn)
    plain(quantised)(nn, module)
    with pytest.raises(InputError, match="has a weight of type qint8"):
        from_torch(module, (5, 5, 1))


def test_a_subclass_of_tensors_is_refused(nn):
    import torch

    class Louder(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return super().__torch_function__(func, types, args, kwargs or {}) * 2

    module = images(nn)
    plain(lambda w: w.as_subclass(Louder))(nn, module)
    with pytest.raises(InputError, match="has a weight that is a Louder"):
        from_torch(module, (5, 5, 1))


def test_what_torch_computes_otherwise_is_found(nn, monkeypatch):
    module = images(nn)
    relu = nn.functional.relu
    monkeypatch.setattr(nn.functional, "relu", lambda x, inplace=False: relu(x).clamp(max=9))
    with pytest.raises(
        InputError, match=r"module and what was taken over differ by up to .* for large inputs, at output"
    ):
        from_torch(module, (5, 5, 1))
    monkeypatch.setattr(nn.functional, "relu", None)
    with pytest.raises(InputError, match="module does not run on inputs from 0 to 1 of shape"):
        from_torch(module, (5, 5, 1))


@pytest.mark.parametrize("training", [True, False])
def test_the_module_and_the_random_numbers_stay_as_they_were(nn, training):
    import torch

    module = images(nn).train(training)
    module[3].eval()
    # What nobody can copy may hang on a module.
    module.loader = (x for x in ())
    flags = [member.training for member in module.modules()]
    state = {name: values.clone() for name, values in module.state_dict().items()}
    random = torch.random.get_rng_state()
    own = [dict(vars(member)) for member in module.modules()]
    with torch.autocast("cpu"):
        from_torch(module, (5, 5, 1))
    assert flags == [member.training for member in module.modules()]
    assert all(torch.equal(values, state[name]) for name, values in module.state_dict().items())
    assert torch.equal(random, torch.random.get_rng_state())
    assert own == [dict(vars(member)) for member in module.modules()]


def test_large_networks_are_compared_in_their_own_type(nn, monkeypatch):
    monkeypatch.setattr(_untouched, "_MOST_DOUBLES", 10)
    module = images(nn)
    assert _untouched.comparison_type(from_torch(module, (5, 5, 1))) == np.float32
    monkeypatch.setattr(nn.functional, "relu", nn.functional.silu)
    with pytest.raises(InputError, match="differ by up to"):
        from_torch(module, (5, 5, 1))


def test_the_channels_of_flattened_images_are_last_or_asked_for(nn):
    import torch

    def perceptron(n_in):
        return nn.Sequential(nn.Dropout(), nn.Flatten(), nn.Linear(n_in, 3)).eval()

    with pytest.raises(
        InputError,
        match=r"'flatten_1' \(Flatten\) flattens images of shape \(1, 28, 28\), .* pass \(28, 28\) or \(28, 28, 1\)",
    ):
        from_torch(perceptron(784), (1, 28, 28))
    with pytest.raises(
        InputError, match=r"pass \(32, 32, 3\)\. If these are 3 x 32 pixels of 32 channels, pass \(3072,\)"
    ):
        from_torch(perceptron(3072), (3, 32, 32))
    x = np.random.default_rng(0).uniform(size=(2, 8, 8, 3)).astype("f4")
    module = perceptron(192)
    expected = module(torch.from_numpy(np.moveaxis(x, -1, 1).copy())).detach().numpy()
    np.testing.assert_allclose(from_torch(module, (8, 8, 3)).outputs(x), expected, atol=1e-6)
    with pytest.raises(InputError, match=r"pass \(2, 2, 3\)"):
        from_torch(nn.Sequential(nn.Upsample(scale_factor=2), nn.Flatten(), nn.Linear(48, 2)), (3, 2, 2))
    for shape in ((64, 8, 8), (8, 8, 8), (3, 5, 3), (32, 28, 10)):
        with pytest.raises(InputError, match="may have their channels first"):
            from_torch(perceptron(int(np.prod(shape))), shape)
    for shape in ((5, 5, 10), (9, 8, 3), (7, 8, 4), (1, 9, 1), (28, 30, 1)):
        assert from_torch(perceptron(int(np.prod(shape))), shape).input_shape == shape


def test_layers_that_know_their_channels_ask_nothing(nn):
    module = nn.Sequential(nn.Conv2d(5, 2, 1), nn.Flatten(), nn.Linear(8, 3))
    assert from_torch(module, (2, 2, 5)).input_shape == (2, 2, 5)
    with pytest.raises(InputError, match=r"takes images of 5 channels, but gets 2; .* pass \(2, 2, 5\)"):
        from_torch(module, (5, 2, 2))


def test_class_names_are_checked(nn):
    module = nn.Sequential(nn.Linear(3, 2))
    assert from_torch(module, (3,), ["no", "yes"]).class_names == ("no", "yes")
    for names, match in (
        (("a", "a"), "must be distinct"),
        ("ab", "must be a tuple of strings"),
        (("a", 1), "must be a tuple of strings"),
        (("a", "b\udfff"), "cannot be printed"),
        (("a", "<script>"), "has an HTML tag"),
        (("a", " "), "is empty"),
        (7, "must be a tuple of strings"),
    ):
        with pytest.raises(InputError, match=match):
            from_torch(module, (3,), names)
