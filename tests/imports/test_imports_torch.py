"""What analyses rely on in a network that comes from PyTorch: logits, input gradients, files, no surprises."""

import numpy as np
import pytest

from probe import InputError, from_torch
from probe.storage import load_network, save_network

torch = pytest.importorskip("torch")
nn = torch.nn


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
    torch.set_num_threads(1)


def there(x):
    """Return inputs in PyTorch's order: the channels of images first."""
    return torch.tensor(np.moveaxis(x, -1, 1).copy() if x.ndim == 4 else x, requires_grad=True)


def here(tensor):
    """Return values of PyTorch in our order: the channels of images last."""
    values = tensor.detach().numpy()
    return np.moveaxis(values, 1, -1) if values.ndim == 4 else values


def used(*members):
    """Return a Sequential in eval mode whose normalizations are not the identity."""
    module = nn.Sequential(*members)
    for member in module.modules():
        if isinstance(member, (nn.BatchNorm1d, nn.BatchNorm2d)):
            member.running_mean.normal_()
            member.running_var.uniform_(0.5, 2.0)
        if isinstance(member, (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm)) and member.weight is not None:
            nn.init.uniform_(member.weight, 0.5, 2.0)
            nn.init.normal_(member.bias)
    return module.eval()


def samples(shape, n_samples=3, dtype="f4"):
    return np.random.default_rng(1).normal(size=(n_samples, *shape)).astype(dtype)


def perceptron(activation):
    return used(nn.Linear(6, 9), activation, nn.Linear(9, 7, bias=False), activation, nn.Linear(7, 4))


SMOOTH_OR_NOT = {
    "CELU": nn.CELU(), "ELU": nn.ELU(0.7), "GELU": nn.GELU(), "Hardsigmoid": nn.Hardsigmoid(),
    "Hardswish": nn.Hardswish(), "Hardtanh": nn.Hardtanh(), "LeakyReLU": nn.LeakyReLU(0.2), "Mish": nn.Mish(),
    "LogSigmoid": nn.LogSigmoid(), "ReLU": nn.ReLU(inplace=True), "ReLU6": nn.ReLU6(), "SELU": nn.SELU(),
    "SiLU": nn.SiLU(), "Sigmoid": nn.Sigmoid(), "Softplus": nn.Softplus(), "Softsign": nn.Softsign(),
    "Tanh": nn.Tanh(),
}  # fmt: skip

NETWORKS = {
    **{f"perceptron of {name}": (lambda one=one: perceptron(one), (6,)) for name, one in SMOOTH_OR_NOT.items()},
    "normalized perceptron": (
        lambda: used(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.LayerNorm(8), nn.Dropout(), nn.Linear(8, 4)),
        (6,),
    ),
    "strides and padding": (
        lambda: used(
            nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(54, 4),
        ),
        (12, 12, 3),
    ),
    "same, dilation, groups": (
        lambda: used(
            nn.Conv2d(2, 4, 3, padding="same", dilation=2), nn.Tanh(),
            nn.Conv2d(4, 8, (3, 2), groups=4, padding=(1, 0), bias=False), nn.BatchNorm2d(8, affine=False),
            nn.SiLU(), nn.AvgPool2d(2), nn.Dropout2d(), nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.Linear(8, 4),
        ),
        (8, 9, 2),
    ),
    "greatest values": (
        lambda: used(nn.Conv2d(1, 5, 3), nn.ELU(), nn.AdaptiveMaxPool2d((1, 1)), nn.Flatten(), nn.Linear(5, 4)),
        (7, 7, 1),
    ),
    "images of no channels": (lambda: used(nn.Flatten(), nn.Linear(20, 8), nn.Tanh(), nn.Linear(8, 4)), (4, 5)),
    "images from values": (
        lambda: used(nn.Linear(6, 24), nn.Unflatten(1, (2, 3, 4)), nn.Conv2d(2, 3, 2), nn.Flatten(), nn.Linear(18, 4)),
        (6,),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_and_input_gradients_are_those_of_torch(name):
    make, shape = NETWORKS[name]
    module, x = make(), samples(shape)
    network, inputs = from_torch(module, shape), there(x)
    expected = module(inputs)
    logits, pullback = network.logits_vjp(x)
    np.testing.assert_allclose(network.outputs(x), here(expected), atol=1e-5)
    np.testing.assert_allclose(logits, here(expected), atol=1e-5)
    weights = samples(logits.shape[1:], dtype="f4")
    expected.backward(torch.tensor(weights))
    gradient = here(inputs.grad)
    np.testing.assert_allclose(pullback(weights), gradient, rtol=1e-4, atol=1e-5 * abs(gradient).max())


@pytest.mark.parametrize("name", [name for name in NETWORKS if not name.startswith("perceptron")])
def test_a_file_keeps_the_outputs(tmp_path, name):
    make, shape = NETWORKS[name]
    network, x = from_torch(make(), shape), samples(shape)
    again = load_network(save_network(network, tmp_path / "a.h5"))
    np.testing.assert_array_equal(again.outputs(x), network.outputs(x))
    assert again.layer_names == network.layer_names


@pytest.mark.parametrize(
    "last",
    [
        [nn.Softmax(dim=1)],
        [nn.LogSoftmax(dim=-1)],
        [nn.Sigmoid()],
        [nn.Dropout(), nn.Softmax(dim=1)],
        [nn.Identity(), nn.Softmax(dim=1), nn.Dropout()],
    ],
    ids=["softmax", "log_softmax", "sigmoid", "dropout between", "dropout behind"],
)
def test_logits_are_what_goes_into_the_last_activation(last):
    body = used(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))
    network, x = from_torch(used(*body, *last), (6,)), samples((6,))
    np.testing.assert_allclose(network.logits(x), here(body(there(x))), atol=1e-6)
    np.testing.assert_allclose(network.outputs(x), here(used(*body, *last)(there(x))), atol=1e-6)
    _, pullback = network.logits_vjp(x)
    inputs, weights = there(x), samples((4,))
    body(inputs).backward(torch.tensor(weights))
    np.testing.assert_allclose(pullback(weights), here(inputs.grad), rtol=1e-4, atol=1e-6)


def test_activations_do_not_hide_each_other():
    module = used(nn.Linear(6, 4), nn.ReLU(), nn.Softmax(dim=1))
    network, x = from_torch(module, (6,)), samples((6,))
    np.testing.assert_allclose(network.outputs(x), here(module(there(x))), atol=1e-6)
    np.testing.assert_allclose(network.logits(x), here(module[:2](there(x))), atol=1e-6)


def test_images_of_one_channel_can_come_without_their_axis():
    module = used(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 4 * 5, 2))
    network, x = from_torch(module, (6, 7, 1)), samples((6, 7))
    expected = here(module(torch.tensor(x[:, None])))
    np.testing.assert_allclose(network.with_input_shape((6, 7)).outputs(x), expected, atol=1e-6)


def test_every_layer_of_images_puts_out_what_its_module_does():
    module = used(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.MaxPool2d(2), nn.AvgPool2d(2, 1))
    network, x = from_torch(module, (8, 8, 2)), samples((8, 8, 2))
    for count, name in enumerate(network.layer_names, start=1):
        np.testing.assert_allclose(
            network.truncate(name).outputs(x), here(module[:count](there(x))), atol=1e-5, err_msg=name
        )


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_the_mode_of_the_module_does_not_matter_and_stays(mode):
    module = used(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.9), nn.Linear(8, 4))
    x = samples((6,))
    expected, mean = here(module(there(x))), module[1].running_mean.clone()
    getattr(module, mode)()
    np.testing.assert_allclose(from_torch(module, (6,)).outputs(x), expected, atol=1e-6)
    assert module.training == (mode == "train") and torch.equal(module[1].running_mean, mean)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_widened_without_loss(dtype):
    module = used(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(27, 4)).to(
        getattr(torch, dtype)
    )
    network = from_torch(module, (5, 5, 2))
    assert network.dtype == np.float32
    np.testing.assert_allclose(
        network.outputs(samples((5, 5, 2))), here(module.float()(there(samples((5, 5, 2))))), atol=1e-5
    )


def test_frozen_and_shared_weights_are_taken_over():
    shared = nn.Linear(6, 6)
    shared.weight.requires_grad_(False)
    module, x = used(shared, nn.Tanh(), shared), samples((6,))
    np.testing.assert_allclose(from_torch(module, (6,)).outputs(x), here(module(there(x))), atol=1e-6)


@pytest.mark.parametrize(
    ("make", "shape", "match"),
    [
        (lambda: nn.Linear(2, 3), (2,), "must be a torch.nn.Sequential, got Linear"),
        (lambda: nn.Sequential(nn.Sequential(nn.GRU(2, 3))), (2,), "module '0/gru_0' is a GRU, .* Linear,"),
        (lambda: type("Sequential", (nn.Sequential,), {})(nn.Linear(2, 3)), (2,), "must be a torch.nn.Sequential"),
        (lambda: nn.Sequential(type("ReLU", (nn.ReLU,), {})()), (2,), "'relu_0' is a ReLU, which cannot be taken over"),
        (lambda: nn.Sequential(nn.CELU(0.5)), (2,), "has alpha=0.5"),
        (lambda: nn.Sequential(nn.Hardtanh(0, 1)), (2,), "has min_val=0"),
        (lambda: nn.Sequential(nn.Softplus(threshold=5)), (2,), "has threshold=5"),
        (lambda: nn.Sequential(nn.BatchNorm2d(2, track_running_stats=False)), (4, 4, 2), "no running statistics"),
        (lambda: nn.Sequential(nn.LayerNorm((4, 3))), (4, 3), r"normalized_shape=\(4, 3\)"),
        (lambda: nn.Sequential(nn.AvgPool2d(2, divisor_override=3)), (4, 4, 1), "has divisor_override=3"),
        (lambda: nn.Sequential(nn.Conv2d(3, 2, 3)), (3, 8, 8), "takes images of 3 channels, but gets 8"),
    ],
)  # fmt: skip
def test_what_would_not_be_exact_is_refused(make, shape, match):
    with pytest.raises(InputError, match=match):
        from_torch(make(), shape)


@pytest.mark.parametrize("hook", ["register_forward_hook", "register_forward_pre_hook"])
def test_hooks_on_any_module_are_refused(hook):
    for module in (inner := nn.Sequential(nn.Linear(2, 3)), inner[0]):
        handle = getattr(module, hook)(lambda *_: None)
        with pytest.raises(InputError, match="has hooks, code that is not read"):
            from_torch(nn.Sequential(inner), (2,))
        handle.remove()
    assert from_torch(nn.Sequential(inner), (2,)).layer_names == ("0/linear_0",)


def test_a_forward_of_its_own_is_refused():
    for module in (outer := nn.Sequential(nn.Linear(2, 3)), outer[0]):
        module.forward = lambda x: x * 0
        with pytest.raises(InputError, match="has a forward of its own, code that is not read"):
            from_torch(outer, (2,))
        del module.forward


def test_weights_without_values_or_of_other_types_are_refused():
    with pytest.raises(InputError, match=r"module 'linear_0' \(Linear\) has no values in its weight"):
        from_torch(nn.Sequential(nn.Linear(2, 3, device="meta")), (2,))
    for kind in ("float8_e4m3fn", "complex64"):
        with pytest.raises(InputError, match=f"has a weight of type {kind}"):
            from_torch(nn.Sequential(nn.Linear(2, 3).to(getattr(torch, kind))), (2,))


@pytest.mark.parametrize("name", ["weight", "bias"])
def test_weights_that_are_not_finite_are_refused(name):
    linear = nn.Linear(2, 3)
    getattr(linear, name).data.reshape(-1)[1] = float("nan")
    with pytest.raises(InputError, match=f"has a value in its {name} that is not finite"):
        from_torch(nn.Sequential(linear), (2,))
