"""Every operation of a module gives what PyTorch gives: outputs, and gradients of the input."""

import numpy as np
import pytest

from probe import from_torch

torch = pytest.importorskip("torch")

from torch_operations import OPERATIONS, drawn  # noqa: E402  it imports PyTorch


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
    torch.set_num_threads(1)


def there(x, requires_grad=False):
    """Return inputs in PyTorch's order: the channels of images first."""
    return torch.tensor(np.moveaxis(x, -1, 1).copy() if x.ndim == 4 else x, requires_grad=requires_grad)


@pytest.mark.parametrize("name", OPERATIONS)
def test_outputs_and_input_gradients_are_those_of_torch(name):
    module, shape = OPERATIONS[name]()
    module = drawn(module).eval()
    network = from_torch(module, shape)
    x = np.random.default_rng(1).normal(size=(3, *shape)).astype("f4")
    inputs = there(x, requires_grad=True)
    expected = module(inputs)
    found = network.outputs(x)
    np.testing.assert_allclose(
        found, expected.detach().numpy(), atol=1e-5 * max(1, expected.abs().max().item())
    )
    assert found.dtype == np.float32
    if not expected.requires_grad:
        return
    weights = np.random.default_rng(2).normal(size=found.shape).astype("f4")
    expected.backward(torch.tensor(weights))
    gradient = np.moveaxis(inputs.grad.numpy(), 1, -1) if x.ndim == 4 else inputs.grad.numpy()
    passes = network._graph.passes([x], [len(network.layers) - 1])
    seeds = {(network.layer_names.index(network.output_names[0]), "activation"): weights}
    np.testing.assert_allclose(
        network._graph.input_gradient(passes, seeds), gradient, rtol=1e-4, atol=1e-4 * abs(gradient).max()
    )
