"""`from_torch`: names, layouts, weights that are computed, what stays as it was, and what is refused."""

import numpy as np
import pytest

from probe import InputError, from_torch
from probe.imports import _untouched

torch = pytest.importorskip("torch")
nn = torch.nn
F = nn.functional


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
    torch.set_num_threads(1)


class Net(nn.Module):
    def __init__(self, n_channels=1, last=None):
        super().__init__()
        self.conv1 = nn.Conv2d(n_channels, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Sequential(nn.Linear(36, 6), nn.ReLU(inplace=True), nn.Dropout(0.4), nn.Linear(6, 3))
        self.last = last

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm(self.conv1(x))), 2)
        x = self.head(torch.flatten(x, 1))
        return x if self.last is None else self.last(x)


def images(n_channels=1, n=3, size=8):
    return np.random.default_rng(1).uniform(size=(n, size, size, n_channels)).astype("f4")


def outputs(module, x):
    with torch.no_grad():
        return module.eval()(torch.from_numpy(np.moveaxis(x, -1, 1).copy() if x.ndim == 4 else x)).numpy()


def test_layers_have_the_names_of_modules_and_operations():
    network = from_torch(Net(), (8, 8, 1))
    assert network.input_shape == (8, 8, 1)
    assert network.layer_names == (
        "channels_first", "conv1", "norm", "relu", "max_pool2d", "flatten", "head/linear_0", "head/dropout_2",
        "head/linear_3",
    )  # fmt: skip
    assert network.layer("head/linear_0").activation.name == "relu"


def test_an_input_is_a_shape_a_tensor_or_an_array():
    module, x = Net(3), images(3)
    expected = outputs(module, x)
    for example in (
        (8, 8, 3),
        [8, 8, 3],
        torch.zeros(1, 3, 8, 8),
        np.zeros((5, 3, 8, 8), "f4"),
        ((8, 8, 3),),
    ):
        network = from_torch(module, example)
        assert network.input_shape == (8, 8, 3)
        np.testing.assert_allclose(network.outputs(x), expected, atol=1e-6)


def test_images_of_one_channel_can_come_without_their_axis():
    module, x = Net(), images()
    network = from_torch(module, (8, 8))
    assert network.input_shape == (8, 8)
    np.testing.assert_allclose(network.outputs(x[..., 0]), outputs(module, x), atol=1e-6)
    flat = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    np.testing.assert_allclose(from_torch(flat, (8, 8)).outputs(x[..., 0]), outputs(flat, x), atol=1e-6)


def test_several_inputs_and_outputs():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(2, 3, 3), nn.Linear(4, 3)

        def forward(self, image, values):
            return {"sum": self.a(image).mean((2, 3)) + self.b(values), "values": self.b(values)}

    module, x, v = Two(), images(2), np.random.default_rng(0).normal(size=(3, 4)).astype("f4")
    network = from_torch(module, ((8, 8, 2), (4,)))
    assert network.input_names == ("image", "values")
    expected = module(torch.from_numpy(np.moveaxis(x, -1, 1).copy()), torch.from_numpy(v))
    for found, one in zip(network.all_outputs([x, v]), expected.values(), strict=True):
        np.testing.assert_allclose(found, one.detach().numpy(), atol=1e-6)


@pytest.mark.parametrize("last", [nn.Softmax(dim=1), nn.LogSoftmax(dim=-1), nn.Sigmoid()])
def test_logits_are_what_goes_into_the_last_activation(last):
    body, x = Net(), images()
    network = from_torch(nn.Sequential(body, nn.Dropout(), last), (8, 8, 1), ("a", "b", "c"))
    np.testing.assert_allclose(network.logits(x), outputs(body, x), atol=1e-6)
    np.testing.assert_allclose(network.outputs(x), outputs(nn.Sequential(body, last), x), atol=1e-6)
    assert network.class_names == ("a", "b", "c")


def weight_norm(module):
    nn.utils.parametrizations.weight_norm(module.head[0])
    nn.utils.weight_norm(module.head[3])
    nn.utils.weight_norm(module.conv1, dim=1)


def spectral_norm(module):
    nn.utils.parametrizations.spectral_norm(module.head[0])
    nn.utils.spectral_norm(module.conv1)


def pruned(module):
    pytest.importorskip("torch.nn.utils.prune")
    nn.utils.prune.l1_unstructured(module.head[0], "weight", 0.5)
    nn.utils.prune.random_unstructured(module.head[0], "bias", 0.5)
    nn.utils.prune.ln_structured(module.conv1, "weight", 0.5, 2, 0)


def orthogonal(module):
    nn.utils.parametrizations.orthogonal(module.head[3])


@pytest.mark.parametrize("change", [weight_norm, spectral_norm, pruned, orthogonal])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_weights_that_are_computed_are_taken_as_they_come_out(change):
    module, x = Net(), images()
    change(module)
    module(torch.rand(2, 1, 8, 8))
    hooks = [len(member._forward_pre_hooks) for member in module.modules()]
    expected, names = outputs(module, x), from_torch(Net(), (8, 8, 1)).layer_names
    network = from_torch(module, (8, 8, 1))
    np.testing.assert_allclose(network.outputs(x), expected, atol=1e-5)
    assert network.layer_names == names
    assert hooks == [len(member._forward_pre_hooks) for member in module.modules()]


@pytest.mark.parametrize("training", [True, False])
def test_the_module_and_the_random_numbers_stay_as_they_were(training):
    module = Net().train(training)
    module.norm.eval()
    # What nobody can copy may hang on a module.
    module.loader = (x for x in ())
    flags = [member.training for member in module.modules()]
    state = {name: values.clone() for name, values in module.state_dict().items()}
    random = torch.random.get_rng_state()
    own = [dict(vars(member)) for member in module.modules()]
    with torch.autocast("cpu"):
        from_torch(module, (8, 8, 1))
    assert flags == [member.training for member in module.modules()]
    assert all(torch.equal(values, state[name]) for name, values in module.state_dict().items())
    assert torch.equal(random, torch.random.get_rng_state())
    assert own == [dict(vars(member)) for member in module.modules()]


def test_modules_in_lists_and_bound_methods_are_copied_with_the_rest():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = [nn.Linear(4, 4), nn.Dropout(0.9)]
            self.norm = nn.BatchNorm1d(4)
            self.step = self.normalized

        def normalized(self, x):
            return self.norm(x)

        def forward(self, x):
            return self.step(self.blocks[0](x))

    module = Odd().train()
    network = from_torch(module, (4,))
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("f4")
    np.testing.assert_allclose(network.outputs(x), outputs(module, x), atol=1e-6)


def test_types_of_numbers():
    module, x = Net(), images()
    narrow = from_torch(module.to(torch.bfloat16), (8, 8, 1))
    assert narrow.dtype == np.float32
    np.testing.assert_allclose(narrow.outputs(x), outputs(module.float(), x), atol=1e-5)
    wide = from_torch(module.double(), (8, 8, 1))
    assert wide.dtype == np.float64
    np.testing.assert_allclose(wide.outputs(x), outputs(module, x.astype("f8")), rtol=1e-10)


def test_weights_are_copies_and_shared_ones_stay_shared():
    shared = nn.Linear(4, 4)
    network = from_torch(nn.Sequential(shared, nn.Tanh(), shared), (4,))
    first, second = (layer for layer in network.layers if layer.has_kernels)
    kept = first.kernel.copy()
    with torch.no_grad():
        shared.weight.zero_()
    assert first.kernel is second.kernel
    np.testing.assert_array_equal(first.kernel, kept)


class Odd(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.linear, self.function = nn.Linear(4, 4), function

    def forward(self, x):
        return self.function(self.linear(x))


class Cumulative(nn.Module):
    def forward(self, x):
        return x.cumsum(1)


@pytest.mark.parametrize(
    ("module", "match"),
    [
        (Odd(Cumulative()), r"aten.cumsum at test_from_torch.py, line \d+ \(return x.cumsum\(1\)\), cannot be taken"),
        (Odd(lambda x: F.dropout(x)), "is random at prediction too; call module.eval.., and F.dropout"),
        (Odd(lambda x: x.mean(0, keepdim=True) + x), "works along the axis of the samples; keep that axis"),
        (Odd(lambda x: x.reshape(-1)), "mixes the samples of a batch; keep the first axis"),
        (Odd(lambda x: x @ x.t()), "moves the axis of the samples"),
        (Odd(lambda x: F.softplus(x, threshold=5)), "has threshold=5; 20, the default"),
        (Odd(lambda x: x if x.sum() > 0 else -x), "module cannot be exported, so its graph is not known: .*; what forward"),
        (Odd(nn.BatchNorm1d(4, track_running_stats=False)), "normalizes each batch by itself; call module.eval"),
        (Odd(lambda x: torch.ones(2, 3)), "an output depends on no input"),
        (nn.GRU(4, 4), "gru"),
        (nn.Linear(3, 3), r"module does not run on inputs of shape \(2, 4\): mat1 and mat2"),
        (nn.Sequential(nn.LazyLinear(3)), "module has no values in '0.weight': load them"),
        (nn.Linear(4, 3, device="meta"), "module has no values in 'weight'"),
        (nn.Linear(4, 3).to(torch.complex64), "complex64"),
        (torch.jit.trace(nn.Linear(4, 3), torch.ones(1, 4)), "is a ScriptModule, which cannot be exported"),
        (lambda x: x, "module must be a torch.nn.Module, got function|got <function"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_what_cannot_be_taken_over_is_refused_with_a_remedy(module, match):
    with pytest.raises(InputError, match=f"(?i){match}") as refused:
        from_torch(module, (4,))
    assert "\n" not in str(refused.value)


def test_weights_that_are_not_finite_are_refused():
    module = nn.Linear(4, 3)
    module.weight.data[1, 2] = float("nan")
    with pytest.raises(InputError, match="not finite"):
        from_torch(module, (4,))


@pytest.mark.parametrize(
    "example", [12, "12", (), (3.0, 4), (0,), (3, -4), (1, 2, 3, 4), object(), torch.zeros(4)]
)
def test_an_example_that_is_none_is_refused(example):
    with pytest.raises(InputError, match="example_input must be"):
        from_torch(nn.Linear(4, 3), example)


def test_inputs_that_are_integers_are_refused():
    with pytest.raises(InputError, match=r"must be a float array or tensor .*, got torch\.int64"):
        from_torch(nn.Embedding(4, 3), torch.zeros(2, 5, dtype=torch.int64))


@pytest.mark.parametrize("hook", ["register_forward_hook", "register_forward_pre_hook"])
def test_hooks_on_any_module_are_refused(hook):
    module = Net()
    handle = getattr(module.head[0], hook)(lambda *_: None)
    with pytest.raises(
        InputError, match=r"module 'head\.0' has hooks, code that is not read; remove them first"
    ):
        from_torch(module, (8, 8, 1))
    handle.remove()
    handle = getattr(nn.modules.module, hook.replace("register_", "register_module_"))(lambda *_: None)
    try:
        with pytest.raises(InputError, match="PyTorch has global forward hooks"):
            from_torch(module, (8, 8, 1))
    finally:
        handle.remove()


def test_compiled_modules_are_taken_as_what_they_were_compiled_from():
    module, x = Net(), images()
    compiled = torch.compile(module)
    np.testing.assert_allclose(from_torch(compiled, (8, 8, 1)).outputs(x), outputs(module, x), atol=1e-6)


def test_a_module_inside_itself_is_refused():
    module = nn.Sequential(nn.ReLU())
    module.append(module)
    with pytest.raises(InputError, match="module does not run on inputs"):
        from_torch(module, (5,))


def test_what_differs_is_found(monkeypatch):
    monkeypatch.setitem(
        __import__("probe.imports.exported._translation", fromlist=["OPERATIONS"]).OPERATIONS,
        "relu", lambda at, x: at.elementwise(x, "silu"),
    )  # fmt: skip
    with pytest.raises(InputError, match=r"module and what was taken over differ by up to .* at output"):
        from_torch(Net(), (8, 8, 1))


def test_large_networks_are_compared_in_their_own_type(monkeypatch):
    monkeypatch.setattr(_untouched, "_MOST_DOUBLES", 10)
    assert _untouched.comparison_type(from_torch(Net(), (8, 8, 1))) == np.float32


def test_the_channels_of_flattened_images_are_last_or_asked_for():
    def perceptron(n_in):
        return nn.Sequential(nn.Dropout(), nn.Flatten(), nn.Linear(n_in, 3))

    with pytest.raises(
        InputError, match=r"\(1, 28, 28\), .* pass \(28, 28\) or \(28, 28, 1\), or an example tensor"
    ):
        from_torch(perceptron(784), (1, 28, 28))
    with pytest.raises(
        InputError, match=r"pass \(32, 32, 3\), .*If these are 3 x 32 pixels of 32 channels, pass \(3072,"
    ):
        from_torch(perceptron(3072), (3, 32, 32))
    module, x = perceptron(192), images(3)
    for example in ((8, 8, 3), torch.zeros(1, 3, 8, 8)):
        np.testing.assert_allclose(from_torch(module, example).outputs(x), outputs(module, x), atol=1e-6)
    for shape in ((64, 8, 8), (8, 8, 8), (3, 5, 3)):
        with pytest.raises(InputError, match="may have their channels first"):
            from_torch(perceptron(int(np.prod(shape))), shape)
    with pytest.raises(InputError, match=r"does not run .* shapes have the channels last"):
        from_torch(Net(3), (3, 8, 8))


def test_class_names_are_checked():
    module = nn.Linear(3, 2)
    assert from_torch(module, (3,), ["no", "yes"]).class_names == ("no", "yes")
    for names, match in (
        (("a", "a"), "must be distinct"),
        ("ab", "must be a tuple"),
        (("a", "<script>"), "HTML"),
    ):
        with pytest.raises(InputError, match=match):
            from_torch(module, (3,), names)
