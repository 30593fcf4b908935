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
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from edgeeff import registry

if TYPE_CHECKING:
    import torch

    from edgeeff.models._family import Family
    from edgeeff.models._spec import Chain, Conv, Excite
    from edgeeff.values import Variant

PACKAGES = ("tensorflow", "tensorflow-cpu", "litert-torch", "torch", "onnx", "onnxscript", "numpy")


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Which of the packages that matter are installed in this interpreter."""
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def find(name: str) -> tuple[Variant, Family]:
    """A published variant and its family."""
    for family in registry.families().values():
        if name in family.variants:
            return family.variants[name], cast("Family", family)
    raise SystemExit(f"unknown variant {name!r}")


def torch_network(name: str) -> tuple[torch.nn.Module, torch.Tensor]:
    """The network with random weights of seed 0, as `edgeeff convert --weights random` has it, and an image."""
    import torch

    from edgeeff.weights import sources as weights

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
    from torch.nn import BatchNorm2d, Identity
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    from edgeeff.models._network import ConvNorm

    module, image = torch_network(name)
    for part in module.modules():
        if isinstance(part, ConvNorm) and isinstance(part.bn, BatchNorm2d):
            part.conv, part.bn = fuse_conv_bn_eval(part.conv, part.bn), Identity()
    nhwc = converter.to_channel_last_io(module, args=[0])
    converter.convert(nhwc.eval(), (image.permute(0, 2, 3, 1).contiguous(),)).export(str(out))


def tensorflow(name: str, weights: Path, out: Path) -> None:
    """The network in TensorFlow's own ops, through its TFLite converter. torch has no part in it.

    `edgeeff convert --via tensorflow` gives the same file, but traces the network in torch first: as a peer it would
    cost more than TensorFlow does.
    """
    import numpy as np
    import tensorflow as tf

    variant, family = find(name)
    plan = family.plan(variant)
    network = TensorFlowNetwork(tf, np.load(weights))

    def image_to_logits(image: Any) -> Any:
        x = tf.reduce_mean(network.chain(image, plan.features), [1, 2])
        return tf.linalg.matmul(x, network.weights["classifier.weight"].T) + network.weights["classifier.bias"]

    shape = (1, variant.resolution, variant.resolution, 3)
    function = tf.function(image_to_logits).get_concrete_function(tf.TensorSpec(shape, tf.float32, name="image"))
    out.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([function]).convert())


class TensorFlowNetwork:
    """The parts of a mobile network in TensorFlow's ops, with the weights under our names."""

    def __init__(self, tf: Any, weights: Mapping[str, Any]) -> None:
        self.tf = tf
        self.weights = weights
        self.activations = {"none": lambda x: x, "relu": tf.nn.relu, "relu6": tf.nn.relu6, "silu": tf.nn.silu}

    def chain(self, x: Any, chain: Chain, place: str = "") -> Any:
        from edgeeff.models._spec import Conv, Excite, Residual

        for name, part in chain:
            here = f"{place}{name}"
            match part:
                case Conv():
                    x = self.convolve(x, here, part)
                case Excite():
                    x = self.excite(x, here, part)
                case Residual(body):
                    x = x + self.chain(x, body, f"{here}.")
                case tuple():
                    x = self.chain(x, part, f"{here}.")
                case _:
                    raise SystemExit(f"{here}: no route to TensorFlow for {part}")
        return x

    def convolve(self, x: Any, place: str, part: Conv) -> Any:
        """ConvNorm of edgeeff.models._network: convolution, batch normalisation, activation."""
        weight = self.weights[f"{place}.conv.weight"]
        strides = [1, part.stride, part.stride, 1]
        if part.groups > 1:
            x = self.tf.nn.depthwise_conv2d(x, weight.transpose(2, 3, 0, 1), strides, "SAME")
        else:
            x = self.tf.nn.conv2d(x, weight.transpose(2, 3, 1, 0), strides, "SAME")
        mean, variance, shift, scale = (
            self.weights[f"{place}.bn.{key}"] for key in ("running_mean", "running_var", "bias", "weight")
        )
        x = self.tf.nn.batch_normalization(x, mean, variance, shift, scale, 1e-3)
        return self.activations[part.activation](x)

    def excite(self, x: Any, place: str, part: Excite) -> Any:
        gate = self.tf.reduce_mean(x, [1, 2], keepdims=True)
        gate = self.activations[part.activation](self.pointwise(gate, f"{place}.reduce"))
        return x * self.tf.sigmoid(self.pointwise(gate, f"{place}.expand"))

    def pointwise(self, x: Any, place: str) -> Any:
        weight = self.weights[f"{place}.weight"].transpose(2, 3, 1, 0)
        return self.tf.nn.bias_add(self.tf.nn.conv2d(x, weight, 1, "SAME"), self.weights[f"{place}.bias"])


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
