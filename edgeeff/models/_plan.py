"""The layers of a scaled EfficientNet with their sizes, without torch: what the network is built and counted from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgeeff.scaling import round_channels, round_repeats
from edgeeff.values import Variant

STEM_CHANNELS, HEAD_CHANNELS = 32, 1280
SQUEEZE_RATIO = 0.25


@dataclass(frozen=True, slots=True)
class Stage:
    """A row of the paper's Table 1: blocks of one kind; only the first has the stride."""

    kernel: int
    stride: int
    expansion: int
    channels: int
    repeats: int


@dataclass(frozen=True, slots=True)
class Block:
    """One MBConv: expand (where hidden is larger than inputs), depthwise, squeeze-and-excite, project."""

    kernel: int
    stride: int
    inputs: int
    hidden: int
    outputs: int
    squeezed: int
    """Channels in the squeeze-and-excitation; 0 where there is none."""
    size: int
    """Rows and columns of its input."""

    @property
    def expands(self) -> bool:
        return self.hidden != self.inputs

    @property
    def is_residual(self) -> bool:
        return self.stride == 1 and self.inputs == self.outputs


@dataclass(frozen=True, slots=True)
class Layer:
    """One convolution or dense layer, as far as counting goes."""

    weights: int
    extra: int
    """Parameters besides the weights: of the bias, or of the batch normalisation."""
    positions: int
    """Places of the output at which the weights are applied."""
    activations: int
    """Elements read and written."""


def halved(size: int, stride: int) -> int:
    """Rows that a stride leaves; the same for both paddings."""
    return -(-size // stride)


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole network. `stages` are the blocks, grouped as in the paper's table."""

    resolution: int
    stem: int
    stages: tuple[tuple[Block, ...], ...]
    head: int
    dropout: float

    @property
    def blocks(self) -> tuple[Block, ...]:
        return tuple(block for stage in self.stages for block in stage)

    def layers(self, classes: int) -> Iterator[Layer]:
        """Every layer that has weights."""
        half = halved(self.resolution, 2)
        yield _conv(3, self.stem, 3, self.resolution, half)
        for block in self.blocks:
            yield from _block_layers(block)
        last = self.stages[-1][-1]
        size = halved(last.size, last.stride)
        yield _conv(last.outputs, self.head, 1, size, size)
        yield Layer(self.head * classes, classes, 1, self.head + classes)

    def parameters(self, classes: int) -> int:
        return sum(layer.weights + layer.extra for layer in self.layers(classes))

    def macs(self, classes: int) -> int:
        """Multiply-adds of convolutions and dense layers for one image."""
        return sum(layer.weights * layer.positions for layer in self.layers(classes))

    def peak_layer_activations(self) -> int:
        """Most elements that one layer reads and writes for one image."""
        return max(layer.activations for layer in self.layers(0))


def _conv(inputs: int, outputs: int, kernel: int, size: int, out: int, *, groups: int = 1) -> Layer:
    """A convolution with its batch normalisation (scale and shift)."""
    weights = outputs * inputs // groups * kernel**2
    return Layer(weights, 2 * outputs, out**2, inputs * size**2 + outputs * out**2)


def _block_layers(block: Block) -> Iterator[Layer]:
    size, out = block.size, halved(block.size, block.stride)
    if block.expands:
        yield _conv(block.inputs, block.hidden, 1, size, size)
    yield _conv(block.hidden, block.hidden, block.kernel, size, out, groups=block.hidden)
    if block.squeezed:
        weights = block.hidden * block.squeezed
        yield Layer(weights, block.squeezed, 1, block.hidden + block.squeezed)
        yield Layer(weights, block.hidden, 1, block.hidden + block.squeezed)
    yield _conv(block.hidden, block.outputs, 1, out, out)


def plan(variant: Variant, table: Sequence[Stage], *, lite: bool) -> Plan:
    """Scales a table of stages by a variant's coefficients.

    Args:
        lite: the Lite rules: no squeeze-and-excitation, stem and head keep their channels, and the first and the
            last stage their repeats.
    """
    width = variant.width
    stem = STEM_CHANNELS if lite else round_channels(STEM_CHANNELS, width)
    head = HEAD_CHANNELS if lite else round_channels(HEAD_CHANNELS, width)
    inputs, size = stem, halved(variant.resolution, 2)
    stages = []
    for index, stage in enumerate(table):
        keeps_repeats = lite and index in (0, len(table) - 1)
        repeats = stage.repeats if keeps_repeats else round_repeats(stage.repeats, variant.depth)
        outputs = round_channels(stage.channels, width)
        blocks = []
        for repeat in range(repeats):
            stride = stage.stride if repeat == 0 else 1
            squeezed = 0 if lite else max(1, int(inputs * SQUEEZE_RATIO))
            blocks.append(Block(stage.kernel, stride, inputs, inputs * stage.expansion, outputs, squeezed, size))
            inputs, size = outputs, halved(size, stride)
        stages.append(tuple(blocks))
    return Plan(variant.resolution, stem, tuple(stages), head, variant.dropout)
