"""Small modules of PyTorch, one for each operation or setting that the tests of imports compare."""

import torch
from torch import nn
from torch.nn import functional as F


class Of(nn.Module):
    """A module whose forward is a function of it and the input."""

    def __init__(self, forward, **members):
        super().__init__()
        for name, member in members.items():
            setattr(self, name, member)
        self.function = forward

    def forward(self, x):
        return self.function(self, x)


def image(function, channels=4, size=(8, 8), **members):
    return Of(function, **members), (*size, channels)


def values(function, n=6, **members):
    return Of(function, **members), (n,)


def parameter(*shape):
    return nn.Parameter(torch.randn(*shape) * 0.5)


def drawn(module):
    """Return a module whose normalizations are not the identity."""
    for each in module.modules():
        if isinstance(each, nn.modules.batchnorm._BatchNorm | nn.GroupNorm | nn.LayerNorm):
            if getattr(each, "running_mean", None) is not None:
                each.running_mean.normal_()
                each.running_var.uniform_(0.5, 2.0)
            if each.weight is not None:
                nn.init.uniform_(each.weight, 0.5, 2.0)
            if each.bias is not None:
                nn.init.normal_(each.bias)
    return module


ACTIVATIONS = {
    "CELU": nn.CELU(), "CELU of 0.5": nn.CELU(0.5), "ELU": nn.ELU(0.7), "GELU": nn.GELU(), "GELU by tanh": nn.GELU("tanh"),
    "Hardshrink": nn.Hardshrink(), "Hardsigmoid": nn.Hardsigmoid(), "Hardswish": nn.Hardswish(inplace=True),
    "Hardtanh": nn.Hardtanh(), "Hardtanh from 0 to 2": nn.Hardtanh(0, 2), "LeakyReLU": nn.LeakyReLU(0.2),
    "LogSigmoid": nn.LogSigmoid(), "Mish": nn.Mish(), "PReLU": nn.PReLU(), "RReLU": nn.RReLU(),
    "ReLU": nn.ReLU(inplace=True),
    "ReLU6": nn.ReLU6(), "SELU": nn.SELU(), "SiLU": nn.SiLU(inplace=True), "Sigmoid": nn.Sigmoid(),
    "Softplus": nn.Softplus(), "Softplus of 3": nn.Softplus(3), "Softshrink": nn.Softshrink(), "Softsign": nn.Softsign(),
    "Tanh": nn.Tanh(), "Tanhshrink": nn.Tanhshrink(), "Threshold": nn.Threshold(0.1, 0.0),
}  # fmt: skip

OPERATIONS = {
    **{name: lambda one=one: values(lambda m, x: m.last(m.act(m.first(x))), first=nn.Linear(6, 8), act=one,
                                    last=nn.Linear(8, 3)) for name, one in ACTIVATIONS.items()},
    "functions": lambda: image(
        lambda m, x: F.log_softmax(m.b(torch.flatten(F.max_pool2d(F.relu(m.a(x)), 2), 1)), dim=1),
        a=nn.Conv2d(4, 5, 3), b=nn.Linear(45, 3)),
    "view": lambda: image(lambda m, x: m.a(x.view(x.size(0), -1)), a=nn.Linear(256, 3)),
    "view of unknown samples": lambda: image(lambda m, x: m.a(x.reshape(-1, 256)), a=nn.Linear(256, 3)),
    "residual sum": lambda: image(lambda m, x: F.relu(x + m.a(F.relu(m.a(x)))), a=nn.Conv2d(4, 4, 3, padding=1)),
    "sum in place": lambda: image(lambda m, x: m.a(x).add_(x).relu_(), a=nn.Conv2d(4, 4, 3, padding=1)),
    "inplace read later": lambda: image(lambda m, x: (lambda y: F.relu_(y) + 2 * y)(m.a(x)), a=nn.Conv2d(4, 4, 1)),
    "cat": lambda: image(lambda m, x: torch.cat([m.a(x), x, x.amax(1, keepdim=True)], 1), a=nn.Conv2d(4, 2, 1)),
    "chunk": lambda: image(lambda m, x: (lambda a, b: torch.cat([b, a * b], 1))(*x.chunk(2, dim=1))),
    "split": lambda: image(lambda m, x: torch.cat(x.split([1, 3], 1)[::-1], 1)),
    "parts": lambda: image(lambda m, x: x[:, 1:, ::2, 1:-1] * x[:, :1, ::2, 2:]),
    "one channel": lambda: image(lambda m, x: x[:, 2].flatten(1) - x.select(1, -1).flatten(1)),
    "every other": lambda: image(lambda m, x: x[:, [0, 2, 3]]),
    "channels turned around": lambda: image(lambda m, x: x[:, [3, 2, 1, 0]] - x.flip(1) * x.flip(-1, 2)),
    "channels in any order": lambda: image(lambda m, x: x.index_select(1, torch.tensor([2, 0, 0, 3, 1]))),
    "unbind and stack": lambda: image(lambda m, x: torch.stack(x.unbind(1)[::-1], 2)),
    "shuffle": lambda: image(lambda m, x: x.view(x.shape[0], 2, 2, 8, 8).transpose(1, 2).reshape(x.shape[0], 4, 8, 8)),
    "ChannelShuffle": lambda: image(lambda m, x: m.a(x), a=nn.ChannelShuffle(2)),
    "PixelShuffle": lambda: image(lambda m, x: m.b(m.a(x)), a=nn.PixelShuffle(2), b=nn.PixelUnshuffle(4)),
    "permute": lambda: image(lambda m, x: m.a(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), a=nn.Linear(4, 3)),
    "mean": lambda: image(lambda m, x: m.a(x.mean([2, 3])), a=nn.Linear(4, 3)),
    "mean with its axes": lambda: image(lambda m, x: x - x.mean((-1, -2), keepdim=True)),
    "variance": lambda: image(lambda m, x: (x - x.mean(1, True)) / (x.var(1, keepdim=True) + 0.1).sqrt()),
    "standard deviation": lambda: image(lambda m, x: x.std((2, 3), unbiased=False)),
    "maxima": lambda: image(lambda m, x: x.max(1)[0] - x.min(dim=2).values.sum(1, keepdim=True)),
    "normalized": lambda: values(lambda m, x: m.a(F.normalize(x + 1)), a=nn.Linear(6, 3)),
    "squeeze": lambda: image(lambda m, x: m.a(F.adaptive_avg_pool2d(x, 1).squeeze(-1).squeeze(-1)), a=nn.Linear(4, 3)),
    "squeeze of all": lambda: image(lambda m, x: m.a(F.adaptive_avg_pool2d(x, 1).squeeze()), a=nn.Linear(4, 3)),
    "unflatten": lambda: values(lambda m, x: m.b(m.a(x)), n=24, a=nn.Unflatten(1, (2, 3, 4)), b=nn.Conv2d(2, 3, 2)),
    "gates": lambda: image(lambda m, x: x * torch.sigmoid(m.a(x.mean((2, 3)))).view(-1, 4, 1, 1).expand_as(x),
                           a=nn.Linear(4, 4)),
    "glu": lambda: image(lambda m, x: F.glu(m.a(x), 1), a=nn.Conv2d(4, 6, 1)),
    "scales": lambda: image(lambda m, x: x + m.a * m.c(x), a=parameter(4, 1, 1), c=nn.Conv2d(4, 4, 1)),
    "positions": lambda: image(lambda m, x: x + m.a, a=parameter(1, 4, 8, 8)),
    "outer sum": lambda: image(lambda m, x: x.mean((2, 3), keepdim=True) + m.a, a=parameter(1, 4, 8, 8)),
    "numbers": lambda: values(lambda m, x: m.a((2 - x / 4) * 3 + 1 / (x * x + 2)), a=nn.Linear(6, 3)),
    "powers": lambda: values(lambda m, x: x**2 + x.abs().add(1) ** -0.5 + torch.rsqrt(x.pow(2) + 1) + x.square().sqrt()),
    "clamps": lambda: values(lambda m, x: x.clamp(-0.3, 0.5) + x.clamp(min=0.2) - x.clip(max=1.0) + torch.minimum(x, m.a),
                             a=parameter(6)),
    "erf": lambda: values(lambda m, x: 0.5 * x * (1 + torch.erf(x / 2**0.5)) + torch.exp(-x)),
    "softmax over channels": lambda: image(lambda m, x: F.softmax(m.a(x), dim=1), a=nn.Conv2d(4, 3, 1)),
    "soft argmax": lambda: image(lambda m, x: F.softmax(x.flatten(2), -1).sum(1)),
    "a token in front": lambda: image(
        lambda m, x: m.a(torch.cat([m.t.expand(x.shape[0], -1, -1), x.flatten(2).transpose(1, 2)], 1))[:, 0],
        t=parameter(1, 1, 4), a=nn.Linear(4, 3)),
    "zeros in front": lambda: values(lambda m, x: torch.cat([x.new_zeros(x.size(0), 2), x], 1)),
    "repeat": lambda: image(lambda m, x: m.a(x.repeat(1, 3, 1, 1)), channels=1, a=nn.Conv2d(3, 2, 3)),
    "AdaptiveAvgPool2d": lambda: image(lambda m, x: m.a(x), size=(7, 6), a=nn.AdaptiveAvgPool2d((3, 4))),
    "AdaptiveMaxPool2d": lambda: image(lambda m, x: m.a(x), size=(7, 6), a=nn.AdaptiveMaxPool2d((2, 6))),
    "AdaptiveAvgPool2d of few": lambda: image(lambda m, x: m.a(x), size=(1, 2), a=nn.AdaptiveAvgPool2d(4)),
    "MaxPool2d": lambda: image(lambda m, x: m.a(x), a=nn.MaxPool2d(3, 2, 1)),
    "MaxPool2d, ceil_mode": lambda: image(lambda m, x: m.a(x), size=(8, 7), a=nn.MaxPool2d(3, 2, ceil_mode=True)),
    "MaxPool2d, dilation": lambda: image(lambda m, x: m.a(x), a=nn.MaxPool2d(2, 1, dilation=2)),
    "AvgPool2d": lambda: image(lambda m, x: m.a(x), a=nn.AvgPool2d(3, 2, 1)),
    "AvgPool2d, ceil_mode": lambda: image(lambda m, x: m.a(x), size=(8, 9), a=nn.AvgPool2d(3, 2, 1, ceil_mode=True)),
    "AvgPool2d, inside": lambda: image(lambda m, x: m.a(x), size=(8, 9),
                                       a=nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False)),
    "AvgPool2d, divisor": lambda: image(lambda m, x: m.a(x), a=nn.AvgPool2d(2, divisor_override=3)),
    "Conv2d, same": lambda: image(lambda m, x: m.a(x), a=nn.Conv2d(4, 6, (3, 4), padding="same", dilation=2)),
    "Conv2d, groups": lambda: image(lambda m, x: m.a(x), a=nn.Conv2d(4, 6, 3, stride=2, padding=(1, 2), groups=2)),
    "Conv2d, depthwise": lambda: image(lambda m, x: m.a(x), a=nn.Conv2d(4, 8, 5, padding=2, groups=4, bias=False)),
    "Conv2d, reflect": lambda: image(lambda m, x: m.a(x), a=nn.Conv2d(4, 2, 3, padding=1, padding_mode="reflect")),
    "Conv2d, replicate": lambda: image(lambda m, x: m.a(x), a=nn.Conv2d(4, 2, 3, padding=1, padding_mode="replicate")),
    "ConvTranspose2d": lambda: image(lambda m, x: m.a(x), size=(4, 5),
                                     a=nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1)),
    "ConvTranspose2d, even": lambda: image(lambda m, x: m.a(x), size=(4, 5), a=nn.ConvTranspose2d(4, 3, 4, 2, 1)),
    "ConvTranspose2d, wide": lambda: image(lambda m, x: m.a(x), size=(4, 5), a=nn.ConvTranspose2d(4, 3, 2, stride=3)),
    "ConvTranspose2d, groups": lambda: image(lambda m, x: m.a(x), size=(4, 5),
                                             a=nn.ConvTranspose2d(4, 6, 3, groups=2, dilation=2, bias=False)),
    "Conv1d": lambda: (nn.Sequential(nn.Conv1d(3, 4, 5, stride=2, padding=2), nn.BatchNorm1d(4), nn.ReLU(),
                                     nn.MaxPool1d(3, 2, 1), nn.AvgPool1d(2), nn.Conv1d(4, 4, 3, padding="same", groups=4),
                                     nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 3)), (3, 32)),
    "ConvTranspose1d": lambda: (nn.ConvTranspose1d(3, 4, 4, 2, 1), (3, 9)),
    "BatchNorm2d": lambda: image(lambda m, x: m.b(m.a(x)), a=nn.BatchNorm2d(4), b=nn.BatchNorm2d(4, affine=False)),
    "GroupNorm": lambda: image(lambda m, x: m.b(m.a(x)), a=nn.GroupNorm(2, 4), b=nn.GroupNorm(1, 4, affine=False)),
    "InstanceNorm2d": lambda: image(lambda m, x: m.b(m.a(x)), a=nn.InstanceNorm2d(4, affine=True), b=nn.InstanceNorm2d(4)),
    "InstanceNorm2d, measured": lambda: image(lambda m, x: m.a(x), a=nn.InstanceNorm2d(4, track_running_stats=True)),
    "LayerNorm": lambda: image(lambda m, x: m.a(x), a=nn.LayerNorm((4, 8, 8))),
    "LayerNorm of the last axis": lambda: image(lambda m, x: m.a(x.permute(0, 2, 3, 1)), a=nn.LayerNorm(4, bias=False)),
    "LocalResponseNorm": lambda: image(lambda m, x: m.a(x), a=nn.LocalResponseNorm(3, alpha=0.5, k=2.0)),
    "LocalResponseNorm of an even size": lambda: image(lambda m, x: m.a(x), a=nn.LocalResponseNorm(4)),
    "means of neighbors": lambda: image(lambda m, x: F.avg_pool3d(x.unsqueeze(1), (3, 1, 1), 1).squeeze(1)),
    "PReLU of channels": lambda: image(lambda m, x: m.a(x), a=nn.PReLU(4)),
    "Dropout": lambda: image(lambda m, x: F.dropout(m.b(m.a(x)), 0.3, m.training), a=nn.Dropout(), b=nn.Dropout2d()),
    "Upsample": lambda: image(lambda m, x: m.a(x), a=nn.Upsample(scale_factor=2)),
    "interpolate, nearest": lambda: image(lambda m, x: F.interpolate(x, size=(5, 12))),
    "interpolate, nearest-exact": lambda: image(lambda m, x: F.interpolate(x, size=(5, 12), mode="nearest-exact")),
    "interpolate, bilinear": lambda: image(lambda m, x: F.interpolate(x, scale_factor=1.5, mode="bilinear")),
    "interpolate, corners": lambda: image(lambda m, x: F.interpolate(x, (5, 11), mode="bilinear", align_corners=True)),
    "interpolate, bicubic": lambda: image(lambda m, x: F.interpolate(x, size=(12, 5), mode="bicubic")),
    "pad": lambda: image(lambda m, x: F.pad(F.pad(x, (1, 2)), (0, 0, 1, -2), value=0.5)),
    "pad, reflect": lambda: image(lambda m, x: F.pad(x, (1, 2, 3, 0), mode="reflect")),
    "pad channels": lambda: image(lambda m, x: F.pad(x, (0, 0, 0, 0, 1, 2))),
    "no operation": lambda: image(lambda m, x: x.contiguous().float().detach()),
    "constants": lambda: values(lambda m, x: x @ (m.a.t() / m.a.norm(dim=1)) + torch.arange(3.0).add(1)[1],
                                a=parameter(3, 6)),
}  # fmt: skip
"""By name what gives a module and the shape of one input."""
