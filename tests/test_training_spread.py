"""Where images are made up, ranges are as wide as the batch normalisations say that training saw values."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgeeff.converters import trace
from edgeeff.converters._quantize import IntegerQuantizer
from edgeeff.converters._ranges import limits
from edgeeff.converters._training_spread import beyond_pictures
from edgeeff.graph import Graph
from edgeeff.ops import Conv2d

CHANNELS = 8


class Residual(torch.nn.Module):
    """Two normalised convolutions, one of them clipped, their sum and a classifier."""

    def __init__(self, gamma: float) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(3, CHANNELS, 3, bias=False, padding=1)
        self.stem_bn = torch.nn.BatchNorm2d(CHANNELS)
        self.conv = torch.nn.Conv2d(CHANNELS, CHANNELS, 1, bias=False)
        self.bn = torch.nn.BatchNorm2d(CHANNELS)
        self.classifier = torch.nn.Linear(CHANNELS, 5)
        for norm in (self.stem_bn, self.bn):
            torch.nn.init.constant_(norm.weight, gamma)
            norm.weight.data[0] *= 1.01

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.nn.functional.relu6(self.stem_bn(self.stem(x)))
        return self.classifier((x + self.bn(self.conv(x))).mean((2, 3)))


def images() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (12, 3, 16, 16)).astype(np.float32)


def as_trained(times: float, gamma: float = 0.7) -> Graph:
    """Its statistics are those of the images, and its channels spread `times` as far in training as on them."""
    torch.manual_seed(0)
    network = Residual(gamma).train()
    for norm in (network.stem_bn, network.bn):
        norm.momentum = None  # the plain mean over what was seen
    with torch.no_grad():
        network(torch.from_numpy(images()))
        for norm in (network.stem_bn, network.bn):
            norm.running_var *= times**2
    return trace(network.eval(), [torch.from_numpy(images()[:1])], name="residual").graph


def test_a_folded_normalisation_leaves_the_deviation_of_each_channel():
    stem = as_trained(1).nodes[0].op
    assert isinstance(stem, Conv2d) and stem.deviation is not None
    assert stem.deviation == pytest.approx([0.707, *[0.7] * (CHANNELS - 1)])


def test_what_training_saw_spread_further_is_told_and_what_comes_of_it_inherits():
    graph = as_trained(1.5)
    factors = beyond_pictures(graph, images())
    assert factors["stem"] == pytest.approx(1.5, rel=0.02)
    assert {"conv", "classifier"} <= set(factors)
    assert 1 < factors["classifier"] <= 2


def test_nothing_is_told_where_pictures_spread_as_far_or_training_has_not_begun():
    assert beyond_pictures(as_trained(0.6), images()).get("stem") is None
    untrained = Residual(1.0)
    untrained.stem_bn.weight.data[0] = untrained.bn.weight.data[0] = 1.0
    graph = trace(untrained.eval(), [torch.from_numpy(images()[:1])], name="untrained").graph
    assert beyond_pictures(graph, images()) == {}


def test_only_made_up_images_widen_ranges_and_clipped_values_keep_theirs():
    graph = as_trained(1.5)
    photos, pictures = (
        IntegerQuantizer(graph, images(), without=frozenset({"spare-range"}), synthesised=made)
        for made in (False, True)
    )
    plain, wide = ({n: p.high - p.low for n, p in each.profiles.items()} for each in (photos, pictures))
    factor = beyond_pictures(graph, images())["classifier"]
    assert wide["classifier"] == pytest.approx(factor * plain["classifier"])
    assert wide["stem"] == plain["stem"] and wide["input"] == plain["input"]
    seen = limits(graph, images())
    assert plain["classifier"] == pytest.approx(seen["classifier"][1] - seen["classifier"][0])
