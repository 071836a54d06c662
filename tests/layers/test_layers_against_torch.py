"""Values and gradients of the layers that PyTorch has too."""

import numpy as np
import pytest

from probe.layers import (
    GLU,
    ActivationLayer,
    AdaptiveAveragePooling2D,
    Add,
    AveragePooling2D,
    Clip,
    Conv1D,
    Conv1DTranspose,
    Divide,
    GroupNormalization,
    LocalResponseNormalization,
    Maximum,
    MaxPooling2D,
    Pad,
    Power,
    Reduce,
    Resizing,
    Slice,
    UnitNormalization,
)

torch = pytest.importorskip("torch")
F = torch.nn.functional
RNG = np.random.default_rng(0)
MAPS = (4, 7, 6)
GAMMA, BETA = RNG.normal(size=4), RNG.normal(size=4)
KERNEL, BIAS, TURNED = RNG.normal(size=(3, 2, 6)), RNG.normal(size=6), RNG.normal(size=(3, 5, 4))
FIRST = {"data_format": "channels_first"}
AROUND = ((1, 1), (1, 1))


def tensor(values):
    return torch.tensor(np.ascontiguousarray(values))


def interpolated(size, **settings):
    return lambda x: F.interpolate(x, size, **settings)


SIZES = ((14, 12), (3, 4), (9, 13), (21, 5))
CASES = {
    "group": (
        GroupNormalization("g", GAMMA, BETA, 2, 1, 1e-5),
        lambda x: F.group_norm(x, 2, tensor(GAMMA), tensor(BETA), 1e-5),
        [MAPS],
    ),
    "instance": (
        GroupNormalization("g", GAMMA, BETA, -1, 1, 1e-5),
        lambda x: F.instance_norm(x, weight=tensor(GAMMA), bias=tensor(BETA), eps=1e-5),
        [MAPS],
    ),
    **{
        f"local response, {size}": (
            LocalResponseNormalization("l", size, 0.3, 0.75, 2.0, "channels_first"),
            lambda x, size=size: F.local_response_norm(x, size, 0.3, 0.75, 2.0),
            [(9, 3, 2)],
        )
        for size in (4, 5)
    },
    "unit": (UnitNormalization("u", (1,)), lambda x: F.normalize(x, dim=1), [MAPS]),
    "glu": (GLU("g", 1), lambda x: F.glu(x, 1), [MAPS]),
    **{
        f"reduce, {kind}": (
            Reduce("r", kind, (2, -1), keepdims=True),
            lambda x, name=name: getattr(torch, name)(x, dim=(2, 3), keepdim=True),
            [MAPS],
        )
        for kind, name in (("mean", "mean"), ("sum", "sum"), ("max", "amax"), ("min", "amin"))
    },
    **{
        f"pad, {mode}": (
            Pad("p", ((0, 0), (2, 1), (1, 3)), mode),
            lambda x, name=name: F.pad(x, (1, 3, 2, 1), name),
            [MAPS],
        )
        for mode, name in (("reflect", "reflect"), ("edge", "replicate"), ("constant", "constant"))
    },
    "slice": (
        Slice("s", (1, None, -3), (None, -1, None), (2, 3, 1)),
        lambda x: x[:, 1::2, :-1:3, -3:],
        [MAPS],
    ),
    **{
        f"{mode}, {size}": (
            Resizing("r", *size, *ours, **FIRST),
            interpolated(size, mode=mode, **theirs),
            [MAPS],
        )
        for size in SIZES
        for ours, mode, theirs in (
            (("nearest", "asymmetric"), "nearest", {}),
            (("nearest",), "nearest-exact", {}),
            ((), "bilinear", {}),
            (("bicubic_clamped",), "bicubic", {}),
        )
    },
    **{
        f"{mode}, by corners, {size}": (
            Resizing("r", *size, ours, "align_corners", **FIRST),
            interpolated(size, mode=mode, align_corners=True),
            [MAPS],
        )
        for size in SIZES
        for ours, mode in (("bilinear", "bilinear"), ("bicubic_clamped", "bicubic"))
    },
    **{
        f"{mode}, against aliasing, {size}": (
            Resizing("r", *size, mode, antialias=True, **FIRST),
            interpolated(size, mode=mode, antialias=True),
            [MAPS],
        )
        for size in SIZES
        for mode in ("bilinear", "bicubic")
    },
    **{
        f"adaptive, {size}": (
            AdaptiveAveragePooling2D("a", size, **FIRST),
            lambda x, size=size: F.adaptive_avg_pool2d(x, size),
            [MAPS],
        )
        for size in SIZES
    },
    "max": (MaxPooling2D("m", (3, 3), (2, 2), AROUND, **FIRST), lambda x: F.max_pool2d(x, 3, 2, 1), [MAPS]),
    "max, dilated": (
        MaxPooling2D("m", (3, 2), (2, 1), AROUND, "channels_first", (1, 3)),
        lambda x: F.max_pool2d(x, (3, 2), (2, 1), 1, (1, 3)),
        [MAPS],
    ),
    "average": (
        AveragePooling2D("a", (3, 3), (2, 2), AROUND, **FIRST),
        lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
        [MAPS],
    ),
    "divide": (Divide("d"), lambda a, b: a / b.reshape(2, 1, 7, 6), [MAPS, (7, 6)]),
    "add": (Add("d"), lambda a, b: a + b.reshape(2, 1, 1, 6), [MAPS, (6,)]),
    "maximum": (Maximum("d"), torch.maximum, [MAPS, (1, 7, 1)]),
    "conv of signals": (
        Conv1D("c", KERNEL, BIAS, groups=2, strides=2, dilation_rate=2, **FIRST),
        lambda x: F.conv1d(x, tensor(KERNEL.transpose(2, 1, 0)), tensor(BIAS), 2, 0, 2, 2),
        [(4, 11)],
    ),
    "transpose of signals": (
        Conv1DTranspose("c", TURNED, strides=2, **FIRST),
        lambda x: F.conv_transpose1d(x, tensor(TURNED.transpose(2, 1, 0)), None, 2),
        [(4, 11)],
    ),
    **{
        name: (ActivationLayer("a", name), getattr(torch, name), [MAPS])
        for name in ("abs", "negative", "square", "sqrt", "reciprocal", "log", "erf")
    },
    "gelu_tanh": (ActivationLayer("a", "gelu_tanh"), lambda x: F.gelu(x, approximate="tanh"), [MAPS]),
    **{
        f"power {exponent}": (
            ActivationLayer("a", Power(exponent)),
            lambda x, exponent=exponent: x**exponent,
            [MAPS],
        )
        for exponent in (3.0, 2.0, 1.0, 0.5, 0.0, -0.5, -1.0)
    },
    "clip": (ActivationLayer("c", Clip(-0.5, 0.7)), lambda x: torch.clamp(x, -0.5, 0.7), [MAPS]),
    "clip above": (ActivationLayer("c", Clip(None, 0.7)), lambda x: torch.clamp(x, None, 0.7), [MAPS]),
}
POSITIVE = ("sqrt", "log", "power 0.5", "power -0.5")


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_torch(name):
    layer, theirs, shapes = CASES[name]
    rng = np.random.default_rng(1)
    xs = [rng.normal(size=(2, *shape)) for shape in shapes]
    xs = [np.abs(x) + 0.1 for x in xs] if name in POSITIVE else xs
    tensors = [torch.tensor(x, requires_grad=True) for x in xs]
    expected = theirs(*tensors)
    y, pullback = layer.forward(*xs)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-10, atol=1e-12)
    dy = rng.normal(size=y.shape)
    expected.backward(torch.tensor(dy))
    gradients = pullback(dy) if len(xs) > 1 else (pullback(dy),)
    for gradient, one in zip(gradients, tensors, strict=True):
        np.testing.assert_allclose(gradient, one.grad.numpy(), rtol=1e-9, atol=1e-11)
