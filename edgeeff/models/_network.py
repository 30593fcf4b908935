"""The torch network of a plan."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn

from edgeeff.models._spec import (
    Activation,
    Branches,
    Chain,
    Conv,
    Excite,
    Gate,
    MaxPool,
    Plan,
    Residual,
    Shuffled,
    halved,
)
from edgeeff.values import BuildConvention

BN_MOMENTUM = 0.01
"""TensorFlow's 0.99, counted from the other end."""

ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "none": nn.Identity,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "silu": nn.SiLU,
    "hard_swish": nn.Hardswish,
}
GATES: dict[Gate, Callable[[], nn.Module]] = {"sigmoid": nn.Sigmoid, "hard_sigmoid": nn.Hardsigmoid}


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and behind a row of `size` pixels by TensorFlow's "SAME"; what is odd goes behind."""
    total = max((halved(size, stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class ConvNorm(nn.Module):
    """Convolution, batch normalisation and, where there is one, activation.

    "Same" padding is fixed for the size of the input: where both sides are equal it is the convolution's own,
    else a ZeroPad2d before it.
    """

    def __init__(self, part: Conv, size: int, convention: BuildConvention) -> None:
        super().__init__()
        before, after = (part.kernel // 2, part.kernel // 2) if part.padded else (0, 0)
        if part.padded and convention.padding == "same":
            before, after = same_padding(size, part.kernel, part.stride)
        even = before == after
        self.pad = nn.Identity() if even else nn.ZeroPad2d((before, after, before, after))
        self.conv = nn.Conv2d(
            part.inputs,
            part.outputs,
            part.kernel,
            part.stride,
            padding=before if even else 0,
            groups=part.groups,
            bias=not part.norm,
        )
        self.bn = (
            nn.BatchNorm2d(part.outputs, eps=convention.bn_eps, momentum=BN_MOMENTUM) if part.norm else nn.Identity()
        )
        self.activation = ACTIVATIONS[part.activation]()

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.activation(self.bn(self.conv(self.pad(x))))
        return result


class SqueezeExcite(nn.Module):
    """See `Excite`."""

    def __init__(self, part: Excite) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(part.channels, part.squeezed, 1)
        self.activation = ACTIVATIONS[part.activation]()
        self.expand = nn.Conv2d(part.squeezed, part.channels, 1)
        self.gate = GATES[part.gate]()

    def forward(self, x: Tensor) -> Tensor:
        gate = self.expand(self.activation(self.reduce(x.mean((2, 3), keepdim=True))))
        result: Tensor = x * self.gate(gate)
        return result


class ResidualBlock(nn.Sequential):
    """See `Residual`. The parts of its body are its own children, beside the one called "shortcut"."""

    def __init__(self, body: OrderedDict[str, nn.Module], shortcut: nn.Module, activation: nn.Module) -> None:
        super().__init__(body)
        self._body = tuple(body)
        self.shortcut = shortcut
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for name in self._body:
            y = self.get_submodule(name)(y)
        result: Tensor = self.activation(self.shortcut(x) + y)
        return result


class Concatenation(nn.Sequential):
    """See `Branches`."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self], 1)


class ShuffleUnit(nn.Module):
    """See `Shuffled`."""

    def __init__(self, left: nn.Sequential, right: nn.Sequential) -> None:
        super().__init__()
        self.left = left
        self.right = right

    def forward(self, x: Tensor) -> Tensor:
        left, right = (x, x) if len(self.left) else x.chunk(2, 1)
        y = torch.cat([self.left(left), self.right(right)], 1)
        _, channels, rows, columns = y.shape
        return y.view(-1, 2, channels // 2, rows, columns).transpose(1, 2).reshape(-1, channels, rows, columns)


class _Builder:
    """Makes modules one after the other, keeping track of the size of the image."""

    def __init__(self, size: int, convention: BuildConvention) -> None:
        self.size = size
        self.convention = convention

    def chain(self, chain: Chain) -> OrderedDict[str, nn.Module]:
        return OrderedDict((name, self.part(part)) for name, part in chain)

    def part(self, part: object) -> nn.Module:
        match part:
            case Conv():
                made: nn.Module = ConvNorm(part, self.size, self.convention)
                self.size = part.size_after(self.size)
            case MaxPool(kernel, stride, padded):
                made = nn.MaxPool2d(kernel, stride, kernel // 2 if padded else 0, ceil_mode=not padded)
                self.size = part.size_after(self.size)
            case Excite():
                made = SqueezeExcite(part)
            case Residual(body, shortcut, activation):
                beside = self.beside(shortcut)
                made = ResidualBlock(self.chain(body), beside if shortcut else nn.Identity(), ACTIVATIONS[activation]())
            case Branches(branches):
                size = self.size
                made = Concatenation()
                for name, branch in branches:
                    self.size = size
                    made.add_module(name, self.part(branch))
            case Shuffled(_, left, right):
                made = ShuffleUnit(self.beside(left), nn.Sequential(self.chain(right)))
            case tuple():
                made = nn.Sequential(self.chain(part))
            case _:
                raise AssertionError(part)
        return made

    def beside(self, chain: Chain) -> nn.Sequential:
        """A chain that starts where the next one does."""
        size = self.size
        made = nn.Sequential(self.chain(chain))
        self.size = size
        return made


class Network(nn.Sequential):
    """Image (1, 3, r, r) -> logits (1, classes), or pooled features where there are no classes.

    Its children are the parts of the plan's features, then what stands behind them.
    """

    def __init__(self, plan: Plan, classes: int, convention: BuildConvention) -> None:
        features = _Builder(plan.resolution, convention).chain(plan.features)
        super().__init__(features)
        self._features = tuple(features)
        channels = plan.hidden or plan.channels
        if plan.hidden:
            self.hidden = nn.Linear(plan.channels, plan.hidden)
            self.activation = ACTIVATIONS[plan.activation]()
        self.dropout = nn.Dropout(plan.dropout)
        self._convolves = plan.convolves and classes > 0
        if self._convolves:
            self.classifier: nn.Module = nn.Conv2d(channels, classes, 1)
            self.activation = nn.ReLU()
        else:
            self.classifier = nn.Linear(channels, classes) if classes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        for name in self._features:
            x = self.get_submodule(name)(x)
        if self._convolves:
            logits: Tensor = self.activation(self.classifier(self.dropout(x))).mean((2, 3))
        else:
            x = x.mean((2, 3))
            if hasattr(self, "hidden"):
                x = self.activation(self.hidden(x))
            logits = self.classifier(self.dropout(x))
        return logits


def build(plan: Plan, *, classes: int, padding: str, bn_eps: float) -> Network:
    """The network in eval mode, on the meta device: no time and no memory goes into weights to be replaced."""
    with torch.device("meta"):
        return Network(plan, classes, BuildConvention(padding, bn_eps)).eval()
