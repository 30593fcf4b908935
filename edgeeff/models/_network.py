"""The torch network of every EfficientNet, built from a plan (Tan & Le 2019, arXiv 1905.11946, Table 1)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from edgeeff.models._plan import Block, Plan, halved

BN_MOMENTUM = 0.01
"""TensorFlow's 0.99, counted from the other end."""


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and behind a row of `size` pixels by TensorFlow's "SAME"; what is odd goes behind."""
    total = max((halved(size, stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class ConvNorm(nn.Module):
    """Convolution, batch normalisation and, where there is one, activation.

    "Same" padding is fixed for the size of the input: where both sides are equal it is the convolution's own,
    else a ZeroPad2d before it.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        size: int,
        padding: str,
        bn_eps: float,
        *,
        stride: int = 1,
        groups: int = 1,
        activation: Callable[[], nn.Module] = nn.Identity,
    ) -> None:
        super().__init__()
        before, after = same_padding(size, kernel, stride) if padding == "same" else (kernel // 2, kernel // 2)
        even = before == after
        self.pad = nn.Identity() if even else nn.ZeroPad2d((before, after, before, after))
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=before if even else 0, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=bn_eps, momentum=BN_MOMENTUM)
        self.activation = activation()

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.activation(self.bn(self.conv(self.pad(x))))
        return result


class SqueezeExcite(nn.Module):
    """Scales each channel by what the means of all channels say (Hu et al. 2018, arXiv 1709.01507)."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.activation = nn.SiLU()
        self.expand = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.expand(self.activation(self.reduce(x.mean((2, 3), keepdim=True))))
        return x * torch.sigmoid(gate)


class MBConv(nn.Module):
    """Inverted bottleneck: expand, depthwise, squeeze-and-excite, project, and the input added to it."""

    def __init__(self, block: Block, padding: str, bn_eps: float, activation: Callable[[], nn.Module]) -> None:
        super().__init__()
        hidden, size = block.hidden, block.size
        out = halved(size, block.stride)
        self.is_residual = block.is_residual
        self.expand = (
            ConvNorm(block.inputs, hidden, 1, size, padding, bn_eps, activation=activation)
            if block.expands
            else nn.Identity()
        )
        self.depthwise = ConvNorm(
            hidden,
            hidden,
            block.kernel,
            size,
            padding,
            bn_eps,
            stride=block.stride,
            groups=hidden,
            activation=activation,
        )
        self.se = SqueezeExcite(hidden, block.squeezed) if block.squeezed else nn.Identity()
        self.project = ConvNorm(hidden, block.outputs, 1, out, padding, bn_eps)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(self.se(self.depthwise(self.expand(x))))
        return x + y if self.is_residual else y


class EfficientNet(nn.Module):
    """Image (1, 3, r, r) -> logits (1, classes), or pooled features where there are no classes."""

    def __init__(
        self, plan: Plan, classes: int, padding: str, bn_eps: float, activation: Callable[[], nn.Module]
    ) -> None:
        super().__init__()
        self.stem = ConvNorm(3, plan.stem, 3, plan.resolution, padding, bn_eps, stride=2, activation=activation)
        self.blocks = nn.Sequential(
            *(nn.Sequential(*(MBConv(b, padding, bn_eps, activation) for b in stage)) for stage in plan.stages)
        )
        last = plan.stages[-1][-1]
        size = halved(last.size, last.stride)
        self.head = ConvNorm(last.outputs, plan.head, 1, size, padding, bn_eps, activation=activation)
        self.dropout = nn.Dropout(plan.dropout)
        self.classifier = nn.Linear(plan.head, classes) if classes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        features = self.head(self.blocks(self.stem(x))).mean((2, 3))
        logits: Tensor = self.classifier(self.dropout(features))
        return logits


def build(plan: Plan, *, classes: int, padding: str, bn_eps: float, lite: bool) -> EfficientNet:
    """The network in eval mode, on the meta device: no time and no memory goes into weights to be replaced."""
    activation = nn.ReLU6 if lite else nn.SiLU
    with torch.device("meta"):
        return EfficientNet(plan, classes, padding, bn_eps, activation).eval()
