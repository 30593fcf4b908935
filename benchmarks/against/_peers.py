"""Converts a variant by one of the other tools; runs in the interpreter in which that tool is installed.

    python _peers.py versions
    python _peers.py weights VARIANT WEIGHTS.npz
    python _peers.py ROUTE VARIANT WEIGHTS.npz OUT

All that it needs of edgeeff is the core, found over PYTHONPATH: the network, and random weights of seed 0. Each tool
is called in the way that serves it best, as far as we know; whoever knows a better one is asked to say so.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from edgeeff import registry

if TYPE_CHECKING:
    import torch

    from edgeeff.models._family import EfficientNetFamily
    from edgeeff.models._plan import Block
    from edgeeff.values import Variant

PACKAGES = ("tensorflow", "tensorflow-cpu", "litert-torch", "torch", "onnx", "onnxscript", "numpy")


def versions() -> dict[str, str]:
    """Which of the packages that matter are installed in this interpreter."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def find(name: str) -> tuple[Variant, EfficientNetFamily]:
    """A published variant and its family."""
    for family in registry.families().values():
        if name in family.variants:
            return family.variants[name], cast("EfficientNetFamily", family)
    raise SystemExit(f"unknown variant {name!r}")


def torch_network(name: str) -> tuple[torch.nn.Module, torch.Tensor]:
    """The network with random weights of seed 0, as `edgeeff convert --weights random` has it, and an image."""
    import torch

    from edgeeff import weights

    variant, family = find(name)
    loaded = weights.random(variant, family, classes=None, padding=None)
    module = family.build(variant, classes=loaded.classes, padding=loaded.padding, bn_eps=loaded.bn_eps)
    module.load_state_dict(loaded.state_dict, assign=True)
    return module, torch.zeros(1, 3, variant.resolution, variant.resolution)


def save_weights(name: str, path: Path) -> None:
    import numpy as np

    module, _ = torch_network(name)
    arrays: dict[str, Any] = {key: value.numpy() for key, value in module.state_dict().items()}
    np.savez(path, **arrays)


def torch_dynamo(name: str, weights: Path, out: Path) -> None:
    """torch.onnx.export's present exporter; the weights inside the file."""
    import torch

    module, image = torch_network(name)
    torch.onnx.export(module, (image,), out, dynamo=True, external_data=False)


def torch_torchscript(name: str, weights: Path, out: Path) -> None:
    """torch.onnx.export's former exporter, by TorchScript."""
    import torch

    module, image = torch_network(name)
    torch.onnx.export(module, (image,), str(out), dynamo=False)


def litert_torch(name: str, weights: Path, out: Path) -> None:
    """litert-torch with NHWC input, batch normalisations folded before: without either its file has more ops."""
    import litert_torch as converter
    from torch.nn import Identity
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    from edgeeff.models._network import ConvNorm

    module, image = torch_network(name)
    for part in module.modules():
        if isinstance(part, ConvNorm):
            part.conv, part.bn = fuse_conv_bn_eval(part.conv, part.bn), Identity()  # type: ignore[assignment]
    nhwc = converter.to_channel_last_io(module, args=[0])
    converter.convert(nhwc.eval(), (image.permute(0, 2, 3, 1).contiguous(),)).export(str(out))


def tensorflow(name: str, weights: Path, out: Path) -> None:
    """The network in TensorFlow's own ops, through its TFLite converter. torch has no part in it."""
    import numpy as np
    import tensorflow as tf

    variant, family = find(name)
    network = TensorFlowNetwork(tf, np.load(weights), lite=family.lite)
    plan = family.plan(variant)

    def image_to_logits(image: Any) -> Any:
        x = network.convolve(image, "stem", plan.stem, 2)
        for i, stage in enumerate(plan.stages):
            for j, block in enumerate(stage):
                x = network.block(x, f"blocks.{i}.{j}", block)
        x = tf.reduce_mean(network.convolve(x, "head", plan.head, 1), [1, 2])
        return tf.linalg.matmul(x, network.weights["classifier.weight"].T) + network.weights["classifier.bias"]

    shape = (1, variant.resolution, variant.resolution, 3)
    function = tf.function(image_to_logits).get_concrete_function(tf.TensorSpec(shape, tf.float32, name="image"))
    out.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([function]).convert())


class TensorFlowNetwork:
    """The parts of an EfficientNet in TensorFlow's ops, with the weights under our names."""

    def __init__(self, tf: Any, weights: Mapping[str, Any], *, lite: bool) -> None:
        self.tf = tf
        self.weights = weights
        self.activation = tf.nn.relu6 if lite else tf.nn.silu

    def convolve(self, x: Any, place: str, groups: int, stride: int, *, linear: bool = False) -> Any:
        """ConvNorm of edgeeff.models._network: convolution, batch normalisation, activation."""
        weight = self.weights[f"{place}.conv.weight"]
        strides = [1, stride, stride, 1]
        if weight.shape[1] == 1 and groups == weight.shape[0]:
            x = self.tf.nn.depthwise_conv2d(x, weight.transpose(2, 3, 0, 1), strides, "SAME")
        else:
            x = self.tf.nn.conv2d(x, weight.transpose(2, 3, 1, 0), strides, "SAME")
        mean, variance, shift, scale = (
            self.weights[f"{place}.bn.{key}"] for key in ("running_mean", "running_var", "bias", "weight")
        )
        x = self.tf.nn.batch_normalization(x, mean, variance, shift, scale, 1e-3)
        return x if linear else self.activation(x)

    def pointwise(self, x: Any, place: str) -> Any:
        weight = self.weights[f"{place}.weight"].transpose(2, 3, 1, 0)
        return self.tf.nn.bias_add(self.tf.nn.conv2d(x, weight, 1, "SAME"), self.weights[f"{place}.bias"])

    def block(self, x: Any, place: str, block: Block) -> Any:
        """MBConv of edgeeff.models._network."""
        y = self.convolve(x, f"{place}.expand", 1, 1) if block.expands else x
        y = self.convolve(y, f"{place}.depthwise", block.hidden, block.stride)
        if block.squeezed:
            gate = self.tf.reduce_mean(y, [1, 2], keepdims=True)
            gate = self.tf.nn.silu(self.pointwise(gate, f"{place}.se.reduce"))
            y = y * self.tf.sigmoid(self.pointwise(gate, f"{place}.se.expand"))
        y = self.convolve(y, f"{place}.project", 1, 1, linear=True)
        return x + y if block.is_residual else y


ROUTES: dict[str, Callable[[str, Path, Path], None]] = {
    "tensorflow": tensorflow,
    "litert-torch": litert_torch,
    "torch-dynamo": torch_dynamo,
    "torch-torchscript": torch_torchscript,
}


def main(arguments: list[str]) -> None:
    match arguments:
        case ["versions"]:
            print(json.dumps(versions()))
        case ["weights", variant, path]:
            save_weights(variant, Path(path))
        case [route, variant, weights, out]:
            ROUTES[route](variant, Path(weights), Path(out))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
