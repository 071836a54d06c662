"""Classifiers as people have them: from memory, from exported programs, and through our own files."""

import numpy as np
import pytest

from probe import from_torch, load_network, save_network

torch = pytest.importorskip("torch")

from torch_operations import drawn  # noqa: E402  they import PyTorch
from torch_zoo import ZOO  # noqa: E402


@pytest.fixture(scope="module", params=ZOO)
def subject(request):
    """A module, its network, and inputs in both orders."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    module = drawn(ZOO[request.param]()).eval()
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("f4")
    there = torch.tensor(np.moveaxis(x, -1, 1).copy(), requires_grad=True)
    return module, from_torch(module, there.detach()), x, there


def test_outputs_hidden_values_and_gradients_are_those_of_torch(subject):
    module, network, x, there = subject
    kept = {}
    for name, member in module.named_modules():
        if isinstance(member, torch.nn.Conv2d | torch.nn.BatchNorm2d):
            member.register_forward_hook(
                lambda _, __, y, name=name: kept.update({name: y.detach().numpy().copy()})
            )
    expected = module(there)
    scale = max(1.0, expected.abs().max().item())
    np.testing.assert_allclose(network.outputs(x), expected.detach().numpy(), atol=1e-5 * scale)
    n_compared = 0
    for name in network.layer_names:
        path = name.replace("conv2d_", "").replace("batchnorm2d_", "").replace("/", ".")
        if path in kept and network.layer(name).activation.name == "linear":
            np.testing.assert_allclose(network.truncate(name).outputs(x), kept[path], atol=1e-4)
            n_compared += 1
    assert n_compared > 0 or "vgg" in str(type(module)).lower() or "Squeeze" in str(type(module))
    logits, pullback = network.logits_vjp(x)
    weights = np.random.default_rng(1).normal(size=expected.shape).astype("f4")
    before = network.logits(x)
    np.testing.assert_array_equal(before, logits)
    if network.output_name == "linear":
        expected.backward(torch.tensor(weights))
        gradient = np.moveaxis(there.grad.numpy(), 1, -1)
        np.testing.assert_allclose(pullback(weights), gradient, rtol=1e-4, atol=1e-4 * abs(gradient).max())


def test_a_file_keeps_the_network(subject, tmp_path):
    _, network, x, _ = subject
    again = load_network(save_network(network, tmp_path / "a.h5"))
    assert again.layer_names == network.layer_names
    np.testing.assert_array_equal(again.outputs(x), network.outputs(x))


def test_an_exported_program_gives_the_same_network(subject, tmp_path):
    module, network, x, there = subject
    path = tmp_path / "model.pt2"
    for member in module.modules():
        member._forward_hooks.clear()
    torch.export.save(torch.export.export(module, (there.detach(),), strict=False), path)
    again = load_network(path)
    assert again.layer_names == network.layer_names
    np.testing.assert_array_equal(again.outputs(x), network.outputs(x))
