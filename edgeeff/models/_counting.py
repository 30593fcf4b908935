"""The ops that a plan becomes in the simplified graph, with their sizes and without their weights."""

from __future__ import annotations

from edgeeff.costs import IMAGE, Costs, OpCost
from edgeeff.models._spec import Activation, Branches, Chain, Conv, Excite, MaxPool, Plan, Residual, Shuffled

FUSED = ("none", "relu", "relu6")
"""Activations that the op before them applies."""


def count(plan: Plan, classes: int) -> Costs:
    """What the network costs with so many outputs; with 0, without the classifier."""
    counting = _Counting(plan.resolution)
    x = counting.chain(plan.features, "", IMAGE)
    if plan.convolves and classes:
        x = counting.conv(Conv(plan.channels, classes, activation="relu", norm=False), "classifier", x)
        counting.add("mean", "mean", (x,), (classes,))
        return Costs(counting.image, tuple(counting.ops))
    x = counting.add("mean", "mean", (x,), (plan.channels,))
    channels = plan.channels
    if plan.hidden:
        x = counting.dense("hidden", x, channels, plan.hidden, plan.activation)
        channels = plan.hidden
    if classes:
        counting.dense("classifier", x, channels, classes, "none")
    return Costs(counting.image, tuple(counting.ops))


class _Counting:
    """Values are the numbers of the ops that make them."""

    def __init__(self, resolution: int) -> None:
        self.image = (3, resolution, resolution)
        self.ops: list[OpCost] = []

    def shape(self, value: int) -> tuple[int, ...]:
        return self.image if value == IMAGE else self.ops[value].shape

    def add(self, name: str, kind: str, inputs: tuple[int, ...], shape: tuple[int, ...], **costs: int) -> int:
        self.ops.append(OpCost(name, kind, inputs, shape, **costs))
        return len(self.ops) - 1

    def chain(self, chain: Chain, place: str, x: int) -> int:
        for name, part in chain:
            here = f"{place}{name}"
            match part:
                case Conv():
                    x = self.conv(part, here, x)
                case MaxPool(kernel, stride):
                    size = part.size_after(self.shape(x)[1])
                    shape = (self.shape(x)[0], size, size)
                    x = self.add(here, "max_pool", (x,), shape, kernel=kernel, stride=stride)
                case Excite():
                    x = self.excite(part, here, x)
                case Residual():
                    x = self.residual(part, here, x)
                case Branches(branches):
                    x = self.concat(here, [self.chain(((name, branch),), f"{here}.", x) for name, branch in branches])
                case Shuffled():
                    x = self.shuffled(part, here, x)
                case _:
                    x = self.chain(part, f"{here}.", x)
        return x

    def conv(self, part: Conv, place: str, x: int) -> int:
        size = part.size_after(self.shape(x)[1])
        weights = part.outputs * (part.inputs // part.groups) * part.kernel**2
        y = self.add(
            place,
            "depthwise_conv2d" if part.groups > 1 and part.groups == part.inputs else "conv2d",
            (x,),
            (part.outputs, size, size),
            weights=weights,
            bias=part.outputs,
            parameters=weights + part.outputs * (2 if part.norm else 1),
            positions=size * size,
            kernel=part.kernel,
            stride=part.stride,
            groups=part.groups,
        )
        return self.activated(place, y, part.activation)

    def activated(self, place: str, x: int, activation: Activation) -> int:
        if activation in FUSED:
            return x
        return self.add(f"{place}.activation", activation, (x,), self.shape(x))

    def dense(self, place: str, x: int, inputs: int, outputs: int, activation: Activation) -> int:
        weights = inputs * outputs
        y = self.add(
            place, "dense", (x,), (outputs,), weights=weights, bias=outputs, parameters=weights + outputs, positions=1
        )
        return self.activated(place, y, activation)

    def excite(self, part: Excite, place: str, x: int) -> int:
        mean = self.add(f"{place}.mean", "mean", (x,), (part.channels, 1, 1))
        reduce = Conv(part.channels, part.squeezed, activation=part.activation, norm=False)
        expand = Conv(part.squeezed, part.channels, norm=False)
        gate = self.conv(expand, f"{place}.expand", self.conv(reduce, f"{place}.reduce", mean))
        gate = self.add(f"{place}.{part.gate}", part.gate, (gate,), (part.channels, 1, 1))
        return self.add(f"{place}.mul", "mul", (x, gate), self.shape(x))

    def residual(self, part: Residual, place: str, x: int) -> int:
        y = self.chain(part.body, f"{place}.", x)
        shortcut = self.chain(part.shortcut, f"{place}.shortcut.", x)
        return self.activated(place, self.add(f"{place}.add", "add", (shortcut, y), self.shape(y)), part.activation)

    def concat(self, place: str, parts: list[int]) -> int:
        shapes = [self.shape(part) for part in parts]
        return self.add(f"{place}.concat", "concat", tuple(parts), (sum(s[0] for s in shapes), *shapes[0][1:]))

    def shuffled(self, part: Shuffled, place: str, x: int) -> int:
        left = right = x
        if not part.left:
            channels, *size = self.shape(x)
            left, right = (self.add(f"{place}.slice", "slice", (x,), (channels // 2, *size)) for _ in range(2))
        left = self.chain(part.left, f"{place}.left.", left)
        y = self.concat(place, [left, self.chain(part.right, f"{place}.right.", right)])
        channels, rows, columns = self.shape(y)
        for kind, shape in (
            ("reshape", (2, channels // 2, rows, columns)),
            ("transpose", (channels // 2, 2, rows, columns)),
            ("reshape", (channels, rows, columns)),
        ):
            y = self.add(f"{place}.{kind}", kind, (y,), shape)
        return y
