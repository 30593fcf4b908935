"""A network with every op that both formats have an integer kernel for, in int8, and what its ONNX file is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgeeff import registry
from edgeeff.converters import quantize, trace
from edgeeff.int8.calibration import Calibration
from edgeeff.networks import NOISE_LABEL, noise
from edgeeff.traced_network import Network

SIDE = 32


class Block(nn.Module):
    """Every op that both formats have an integer kernel for, as EfficientNet and EfficientNet-Lite use them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU6())
        self.expand = nn.Sequential(nn.Conv2d(16, 32, 1), nn.SiLU())
        self.depthwise = nn.Sequential(nn.Conv2d(32, 32, 5, padding=2, groups=32), nn.SiLU())
        self.excite = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(32, 8, 1), nn.SiLU(), nn.Conv2d(8, 32, 1))
        self.project = nn.Conv2d(32, 16, 1)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 24))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        y = self.depthwise(self.expand(x))
        y = self.project(y * torch.sigmoid(self.excite(y)))
        return self.head(nn.functional.pad(x + y, (1, 1, 1, 1)))


@pytest.fixture(scope="session")
def network_of() -> Callable[..., Network]:
    """(torch module, shape of its input) -> the network."""

    def make(module: nn.Module, shape: tuple[int, ...] = (1, 3, SIDE, SIDE)) -> Network:
        inputs = noise([shape])
        traced = trace(module.eval(), [torch.from_numpy(inputs[0])], name="block")
        return Network("block", traced.graph, inputs, traced.outputs, NOISE_LABEL, "random(seed=0)", 1)

    return make


@pytest.fixture(scope="session")
def network(network_of: Callable[..., Network]) -> Network:
    torch.manual_seed(0)
    return network_of(Block())


@pytest.fixture(scope="session")
def images() -> Calibration:
    pixels = np.random.default_rng(0).standard_normal((16, 3, SIDE, SIDE)).astype(np.float32)
    return Calibration(pixels[:12], pixels[12:], "noise")


@pytest.fixture(scope="session")
def quantised(network: Network, images: Calibration) -> Network:
    return quantize(network, "int8", images)


@pytest.fixture(scope="session")
def written() -> Callable[..., Path]:
    """(network, path, changes of its quantization) -> the path, where its ONNX file now is."""

    def write(network: Network, path: Path, **changes: object) -> Path:
        quantization = replace(network.graph.quantization, **changes)
        graph = replace(network.graph, quantization=quantization)
        registry.converter("onnx").write(graph, path, precision="int8", metadata={})
        return path

    return write
