"""Classifiers of images in plain PyTorch, small ones in the manner of those that people take from torchvision."""

import torch
from torch import nn
from torch.nn import functional as F


def conv_norm(n_in, n_out, size=3, stride=1, groups=1, act=nn.ReLU):
    layers = [
        nn.Conv2d(n_in, n_out, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(n_out),
    ]
    return nn.Sequential(*layers, *([act(inplace=True)] if act is not None else []))


class Basic(nn.Module):
    def __init__(self, n_in, n_out, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.downsample = conv_norm(n_in, n_out, 1, stride, act=None) if stride > 1 or n_in != n_out else None

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(Basic(8, 8), Basic(8, 8))
        self.layer2 = nn.Sequential(Basic(8, 16, 2), Basic(16, 16))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(16, 5)

    def forward(self, x):
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        x = self.layer2(self.layer1(x))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class Fire(nn.Module):
    def __init__(self, n_in, squeezed, n_out):
        super().__init__()
        self.squeeze = nn.Conv2d(n_in, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, n_out, 1)
        self.expand3x3 = nn.Conv2d(squeezed, n_out, 3, padding=1)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.act(self.squeeze(x))
        return torch.cat([self.act(self.expand1x1(x)), self.act(self.expand3x3(x))], 1)


class SqueezeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, ceil_mode=True), Fire(16, 4, 8),
            Fire(16, 4, 8), nn.MaxPool2d(3, 2, ceil_mode=True), Fire(16, 6, 12),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Dropout(), nn.Conv2d(24, 5, 1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d((1, 1))
        )

    def forward(self, x):
        return torch.flatten(self.classifier(self.features(x)), 1)


class Inverted(nn.Module):
    """A block of MobileNet; `gate` is the number of channels that its gates squeeze to."""

    def __init__(self, n_in, n_out, stride, factor, act=nn.ReLU6, gate=0, scale=nn.Sigmoid):
        super().__init__()
        n = n_in * factor
        self.conv = nn.Sequential(
            conv_norm(n_in, n, 1, act=act), conv_norm(n, n, 3, stride, groups=n, act=act)
        )
        self.gate = (
            nn.ModuleDict({"fc1": nn.Conv2d(n, gate, 1), "fc2": nn.Conv2d(gate, n, 1)}) if gate else None
        )
        self.act, self.scale = act(), scale()
        self.project = conv_norm(n, n_out, 1, act=None)
        self.use_res_connect = stride == 1 and n_in == n_out

    def forward(self, x):
        y = self.conv(x)
        if self.gate is not None:
            share = F.adaptive_avg_pool2d(y, 1)
            y = y * self.scale(self.gate["fc2"](self.act(self.gate["fc1"](share))))
        y = self.project(y)
        return x + y if self.use_res_connect else y


class MobileNetV2(nn.Module):
    def __init__(self, act=nn.ReLU6, gate=0, scale=nn.Sigmoid):
        super().__init__()
        settings = {"act": act, "gate": gate, "scale": scale}
        self.features = nn.Sequential(
            conv_norm(3, 8, 3, 2, act=act), Inverted(8, 8, 1, 1, **settings), Inverted(8, 12, 2, 2, **settings),
            Inverted(12, 12, 1, 2, **settings), conv_norm(12, 24, 1, act=act),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(24, 5))

    def forward(self, x):
        x = nn.functional.adaptive_avg_pool2d(self.features(x), (1, 1))
        return self.classifier(torch.flatten(x, 1))


class Shuffled(nn.Module):
    def __init__(self, n_in, n_out, stride):
        super().__init__()
        n, self.stride = n_out // 2, stride
        self.branch1 = nn.Sequential(conv_norm(n_in, n_in, 3, stride, n_in, None), conv_norm(n_in, n, 1))
        self.branch2 = nn.Sequential(
            conv_norm(n_in if stride > 1 else n, n, 1),
            conv_norm(n, n, 3, stride, n, None),
            conv_norm(n, n, 1),
        )

    def forward(self, x):
        if self.stride == 1:
            x1, x2 = x.chunk(2, dim=1)
            out = torch.cat((x1, self.branch2(x2)), dim=1)
        else:
            out = torch.cat((self.branch1(x), self.branch2(x)), dim=1)
        batchsize, channels, height, width = out.size()
        out = out.view(batchsize, 2, channels // 2, height, width)
        return torch.transpose(out, 1, 2).contiguous().view(batchsize, channels, height, width)


class ShuffleNetV2(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = conv_norm(3, 8, 3, 2)
        self.stage2 = nn.Sequential(Shuffled(8, 16, 2), Shuffled(16, 16, 1))
        self.fc = nn.Linear(16, 5)

    def forward(self, x):
        return self.fc(self.stage2(F.max_pool2d(self.conv1(x), 3, 2, 1)).mean([2, 3]))


class Dense(nn.Module):
    def __init__(self, n_in, growth):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(n_in), nn.Conv2d(n_in, 2 * growth, 1, bias=False)
        self.norm2, self.conv2 = (
            nn.BatchNorm2d(2 * growth),
            nn.Conv2d(2 * growth, growth, 3, 1, 1, bias=False),
        )

    def forward(self, features):
        x = torch.cat(features, 1)
        return self.conv2(F.relu(self.norm2(self.conv1(F.relu(self.norm1(x))))))


class DenseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv0 = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.block = nn.ModuleList([Dense(8 + 4 * k, 4) for k in range(3)])
        self.transition = nn.Sequential(
            nn.BatchNorm2d(20), nn.ReLU(inplace=True), nn.Conv2d(20, 10, 1, bias=False), nn.AvgPool2d(2, 2)
        )
        self.classifier = nn.Linear(10, 5)

    def forward(self, x):
        features = [self.conv0(x)]
        for layer in self.block:
            features.append(layer(features))
        x = F.relu(self.transition(torch.cat(features, 1)), inplace=True)
        return self.classifier(torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))


class Inception(nn.Module):
    def __init__(self, n_in):
        super().__init__()
        self.branch1 = conv_norm(n_in, 4, 1)
        self.branch2 = nn.Sequential(conv_norm(n_in, 3, 1), conv_norm(3, 6, 3))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), conv_norm(n_in, 4, 1))

    def forward(self, x):
        return torch.cat([self.branch1(x), self.branch2(x), self.branch4(x)], 1)


class GoogLeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = conv_norm(3, 8, 7, 2)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception3a, self.inception3b = Inception(8), Inception(14)
        self.fc = nn.Linear(14, 5)
        self.dropout = nn.Dropout(0.2)

    def transform_input(self, x):
        channels = [torch.unsqueeze(x[:, k], 1) * (0.2 + k) / 0.5 + (0.4 - 0.5) / 0.5 for k in range(3)]
        return torch.cat(channels, 1)

    def forward(self, x):
        x = F.local_response_norm(self.maxpool1(self.conv1(self.transform_input(x))), 5, 1e-3)
        x = self.inception3b(self.inception3a(x))
        return self.fc(self.dropout(torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1)))


class RegNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = conv_norm(3, 8, 3, 2)
        self.a = nn.Sequential(
            conv_norm(8, 16, 1), conv_norm(16, 16, 3, 2, 4), conv_norm(16, 16, 1, act=None)
        )
        self.proj = conv_norm(8, 16, 1, 2, act=None)
        self.fc = nn.Linear(16, 5)

    def forward(self, x):
        x = self.stem(x)
        return self.fc(F.relu(self.proj(x) + self.a(x)).mean((2, 3)))


class Block(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.dwconv, self.norm = nn.Conv2d(n, n, 7, padding=3, groups=n), nn.LayerNorm(n, eps=1e-6)
        self.pwconv1, self.act, self.pwconv2 = nn.Linear(n, 4 * n), nn.GELU(), nn.Linear(4 * n, n)
        self.layer_scale = nn.Parameter(torch.ones(n, 1, 1) * 0.3)

    def forward(self, x):
        y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        y = self.pwconv2(self.act(self.pwconv1(y))).permute(0, 3, 1, 2)
        return x + self.layer_scale * y


class ChannelNorm(nn.Module):
    """Layer normalization over the channels of images, as ConvNeXt has it, in formulas."""

    def __init__(self, n):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.rand(n) + 0.5), nn.Parameter(torch.rand(n))

    def forward(self, x):
        u = x.mean(1, keepdim=True)
        s = (x - u).pow(2).mean(1, keepdim=True)
        x = (x - u) / torch.sqrt(s + 1e-6)
        return self.weight[:, None, None] * x + self.bias[:, None, None]


class ConvNeXt(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 4, 4), ChannelNorm(8))
        self.stage = nn.Sequential(Block(8), Block(8))
        self.down = nn.Sequential(ChannelNorm(8), nn.Conv2d(8, 12, 2, 2))
        self.norm, self.head = nn.LayerNorm(12), nn.Linear(12, 5)

    def forward(self, x):
        return self.head(self.norm(self.down(self.stage(self.stem(x))).mean([-2, -1])))


class VGG(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(True), nn.MaxPool2d(2, 2))
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(4 * 49, 12), nn.ReLU(True), nn.Dropout(), nn.Linear(12, 5), nn.Softmax(dim=1)
        )

    def forward(self, x):
        x = self.avgpool(self.features(x))
        return self.classifier(torch.flatten(x, 1))


class MNASNet(MobileNetV2):
    def __init__(self):
        super().__init__(nn.ReLU)

    def forward(self, x):
        return self.classifier(self.features(x).mean([2, 3]))


ZOO = {
    "convnext": ConvNeXt,
    "densenet": DenseNet,
    "efficientnet": lambda: MobileNetV2(nn.SiLU, 3),
    "googlenet": GoogLeNet,
    "mnasnet": MNASNet,
    "mobilenet_v2": MobileNetV2,
    "mobilenet_v3": lambda: MobileNetV2(nn.Hardswish, 4, nn.Hardsigmoid),
    "regnet": RegNet,
    "resnet": ResNet,
    "shufflenet_v2": ShuffleNetV2,
    "squeezenet": SqueezeNet,
    "vgg": VGG,
}
"""By name what makes a module for images of 3 channels and 32 x 32 pixels, with 5 classes."""
