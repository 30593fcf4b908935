"""Tracing: any torch CNN of the supported operators, in any spelling, becomes a graph that computes the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - what everybody calls it

from edgeeff import parity, registry
from edgeeff.converters import trace
from edgeeff.converters._passes import simplify
from edgeeff.errors import ConversionError
from edgeeff.graph import Graph, Node
from edgeeff.networks import noise
from edgeeff.ops import Affine, Conv2d, Dense, Reshape, Unary


class Of(nn.Module):
    """A network whose forward is the given function, with a few layers at hand."""

    def __init__(self, function, channels=4):
        super().__init__()
        torch.manual_seed(0)
        self.function = function
        self.conv = nn.Conv2d(channels, 8, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(8, eps=1e-3)
        self.bn4 = nn.BatchNorm2d(channels)
        self.dense = nn.Linear(8, 5)
        for bn in (self.bn, self.bn4):
            bn.running_mean.normal_()
            bn.running_var.uniform_(0.5, 2)
            nn.init.normal_(bn.weight)
            nn.init.normal_(bn.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def branch_on_shape(m, x):
    return F.relu(x) if x.shape[2] > 7 else x


def own_silu(m, x):
    y = m.conv(x)
    return y * torch.sigmoid(y)


def in_place_chain(m, x):
    y = m.bn(m.conv(x))
    y.relu_()
    y += 1
    return y.mul_(0.5)


def bn_after_shared_conv(m, x):
    y = m.conv(x)
    return m.bn(y) + y


def squeeze_excite(m, x):
    y = F.silu(m.bn(m.conv(x)))
    return y * F.hardsigmoid(y.mean((2, 3), keepdim=True))


def shuffle(m, x):
    y = m.conv(x)
    n, c, h, w = y.shape
    return y.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)


def split_and_cat(m, x):
    a, b = m.conv(x).chunk(2, 1)
    return torch.cat([F.relu6(b), a[:, 1:3], a], 1)


NETWORKS = {
    "conv": lambda m, x: m.conv(x),
    "conv_same": lambda m, x: F.conv2d(x, m.conv.weight, padding="same", dilation=2),
    "conv_bn_relu6": lambda m, x: F.relu6(m.bn(m.conv(x))),
    "bn_first": lambda m, x: m.conv(F.relu(m.bn4(x))),
    "bn_after_shared_conv": bn_after_shared_conv,
    "own_silu": own_silu,
    "in_place": in_place_chain,
    "shape_branch": branch_on_shape,
    "squeeze_excite": squeeze_excite,
    "pad": lambda m, x: m.conv(F.pad(x, (1, 2, 0, 1))),
    "pad_alone": lambda m, x: F.relu(F.pad(x, (1, 2, 0, 1))),
    "hard_swish": lambda m, x: F.hardswish(m.conv(x)),
    "tanh": lambda m, x: torch.tanh(m.conv(x)),
    "clamp": lambda m, x: m.conv(x).clamp(0, 6) - x.mean((1, 2, 3), keepdim=True),
    "scalars": lambda m, x: (2 * m.conv(x) + 0.5) / 3 - 1,
    "constant": lambda m, x: m.conv(x) * m.bn.weight[:, None, None],
    "weight_standardised": lambda m, x: F.conv2d(x, m.conv.weight - m.conv.weight.mean((1, 2, 3), keepdim=True)),
    "max_pool": lambda m, x: F.max_pool2d(m.conv(x), 3, 2, 1),
    "max_pool_ceil": lambda m, x: F.max_pool2d(m.conv(x), 3, 2, ceil_mode=True),
    "max_pool_ceil_drops_a_window": lambda m, x: F.max_pool2d(m.conv(x), 3, 3, 1, ceil_mode=True),
    "average_pool_ceil_drops_a_window": lambda m, x: F.avg_pool2d(m.conv(x), 3, 3, 1, True, False),
    "average_pool_ceil": lambda m, x: F.avg_pool2d(m.conv(x), 3, 2, 0, True),
    "gate_turned_around": lambda m, x: (1 - torch.sigmoid(x)) * (1 / (1 + F.relu(x))),
    "flattened_from_rows": lambda m, x: m.conv(x).squeeze(0).flatten(1).reshape(1, -1),
    "average_pool": lambda m, x: F.avg_pool2d(m.conv(x), 3, 2, 1),
    "average_pool_not_counting": lambda m, x: F.avg_pool2d(m.conv(x), 3, 2, 1, count_include_pad=False),
    "adaptive_pool": lambda m, x: F.adaptive_avg_pool2d(m.conv(x), (5, 2)),
    "classifier": lambda m, x: m.dense(torch.flatten(F.adaptive_avg_pool2d(m.conv(x), 1), 1)).softmax(-1),
    "flatten_map": lambda m, x: F.linear(m.conv(x).flatten(1), m.conv.weight.new_ones(3, 8 * 100) / 800),
    "dense_on_map": lambda m, x: m.dense(m.conv(x).permute(0, 2, 3, 1)),
    "expanded_gate": lambda m, x: (y := m.conv(x)) * y.mean((2, 3), keepdim=True).expand_as(y),
    "shuffle": shuffle,
    "split_and_cat": split_and_cat,
}


@pytest.mark.parametrize("format_name", ["onnx", "tflite"])
@pytest.mark.parametrize("name", NETWORKS)
def test_computes_what_torch_computes(name, format_name, tmp_path):
    (image,) = noise([(1, 4, 10, 10)])
    network = Of(NETWORKS[name]).eval()
    traced = trace(network, [torch.from_numpy(image)], name=name)
    with torch.no_grad():
        expected = network(torch.from_numpy(image)).contiguous().numpy()
    np.testing.assert_array_equal(traced.outputs[0], expected)

    converter = registry.converter(format_name)
    path = tmp_path / f"x.{format_name}"
    converter.write(traced.graph, path, precision="fp32", metadata={})
    outputs = registry.runtime(converter.runtime).infer(path, [converter.layout(image)])
    assert parity.sqnr_db([converter.layout(expected)], outputs) > 100


def traced_graph(function, *shape):
    (image,) = noise([shape or (1, 4, 10, 10)])
    return trace(Of(function), [torch.from_numpy(image)], name="x").graph


def test_folds_and_fuses_but_not_across_a_second_use():
    assert traced_graph(NETWORKS["conv_bn_relu6"]).op_counts == {"conv2d": 1}
    assert traced_graph(own_silu).op_counts == {"conv2d": 1, "silu": 1}
    assert traced_graph(NETWORKS["pad"]).op_counts == {"conv2d": 1}
    assert traced_graph(bn_after_shared_conv).op_counts == {"conv2d": 1, "affine": 1, "add": 1}


def test_a_reader_whose_result_is_thrown_away_does_not_count():
    def unused_mean(m, x):
        y = m.conv(x)
        y.mean((2, 3))
        return m.bn(y)

    assert traced_graph(unused_mean).op_counts == {"conv2d": 1}


def test_a_batch_norm_over_the_rows_of_a_dense_layer_is_not_folded():
    weight, scale = np.ones((8, 16), np.float32), np.arange(8, dtype=np.float32)
    nodes = (Node("dense", Dense(weight, None), ("x",)), Node("bn", Affine(scale, scale), ("dense",)))
    folded = simplify(Graph("rows", {"x": (1, 8, 16)}, nodes, ("bn",)))  # scales rows; the weights have columns
    assert [node.name for node in folded.nodes] == ["dense", "bn"]
    folded = simplify(Graph("matrix", {"x": (1, 16)}, nodes, ("bn",)))
    assert [node.name for node in folded.nodes] == ["dense"]


def test_what_the_checker_of_onnx_refuses_is_a_conversion_error(tmp_path):
    x = {"x": (1, 4, 10, 10)}
    wrong = Graph("wrong", x, (Node("view", Reshape((1, 7)), ("x",)),), ("view",))
    with pytest.raises(ConversionError, match="wrong: onnx's checker refuses"):
        registry.converter("onnx").write(wrong, tmp_path / "x.onnx", precision="fp32", metadata={})


def test_names_say_the_place():
    network = nn.Sequential()
    network.add_module("stem", nn.Sequential())
    network.stem.add_module("conv", nn.Conv2d(4, 8, 1))
    network.stem.add_module("act", nn.SiLU())
    graph = trace(network, [torch.zeros(1, 4, 2, 2)], name="x").graph
    assert [(node.name, type(node.op)) for node in graph.nodes] == [("stem.conv", Conv2d), ("stem.act", Unary)]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda m, x: F.gelu(m.conv(x)), "gelu"),
        (lambda m, x: x if x.sum() > 0 else -x, "sum"),
        (lambda m, x: F.conv_transpose2d(x, m.conv.weight.transpose(0, 1)), "transposed"),
        (lambda m, x: F.pad(x, (1, 1, 1, 1), mode="reflect"), "reflection_pad"),
        (lambda m, x: F.pad(x, (1, 1), value=3.0), "zeros"),
        (lambda m, x: x - x.mean(), "over the batch axis"),
        (lambda m, x: m.conv(x[:, :, :1].expand(1, 4, 10, 10)), "expanded from"),
        (lambda m, x: (lambda y: (y, y))(m.conv(x)), "returns a value twice"),
        (lambda m, x: x, "its own input"),
        (lambda m, x: x[:, ::2], "step 2"),
        (lambda m, x: x.clamp(-1, 1), "-1"),
        (lambda m, x: F.conv2d(x, m.conv.weight * x[:, :1, :1, :1]), "computed from the input"),
        (lambda m, x: m.conv.weight, "does not depend on its input"),
        (lambda m, x: torch.cat([x, x], 0), "batch"),
        (lambda m, x: m.dense(x), "fails on an input of 1x4x10x10"),
        (lambda m, x: m.conv(x).to(torch.float16), "float16"),
    ],
)
def test_what_is_not_supported_is_named(function, message):
    with pytest.raises(ConversionError, match=message):
        traced_graph(function)


def test_an_unsupported_op_is_named_with_its_place_and_what_is_supported():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.ReLU(), nn.GELU()))
    with pytest.raises(ConversionError) as caught:
        trace(network, [torch.zeros(1, 3, 4, 4)], name="x")
    assert "gelu at 1.1" in caught.value.message
    assert "conv2d" in caught.value.hint


def test_writing_into_a_view_is_refused():
    def half_in_place(m, x):
        y = m.conv(x)
        y[:, :2].relu_()
        return y

    with pytest.raises(ConversionError, match="in place on a view"):
        traced_graph(half_in_place)


def test_leaves_the_network_as_it_was():
    network = Of(lambda m, x: m.bn(m.conv(x))).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    trace(network, [torch.zeros(1, 4, 10, 10)], name="x")
    assert network.training
    assert not network.bn._forward_hooks
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_does_not_import_what_it_does_not_need(tmp_path):
    import subprocess
    import sys

    code = (
        "import sys, torch; from edgeeff.converters import trace;"
        "trace(torch.nn.Conv2d(3, 4, 3), [torch.zeros(1, 3, 8, 8)], name='x');"
        "sys.exit(any(m in sys.modules for m in ('torch._dynamo', 'sympy', 'onnx', 'ai_edge_litert')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
