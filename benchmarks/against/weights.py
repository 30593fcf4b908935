"""Whether a network with torchvision's or timm's weights computes what torchvision or timm computes.

    python -m venv /tmp/others && /tmp/others/bin/pip install torch torchvision timm click
    PYTHONPATH=. /tmp/others/bin/python benchmarks/against/weights.py [--names tests/golden/foreign_tensors.json]

Each of their networks gets random weights, goes through a file into ours, and both see the same image. With --names,
the digest of the names and shapes of its tensors is written as well: the tests hold our layouts against that without
the other projects. All that it needs of edgeeff is the core.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeeff import registry

if TYPE_CHECKING:
    from torch import nn

RESNETS = (18, 34, 50, 101, 152)

TORCHVISION = {
    **{f"b{i}": f"efficientnet_b{i}" for i in range(8)},
    **{f"efficientnetv2-{size}": f"efficientnet_v2_{size}" for size in "sml"},
    "mobilenetv2": "mobilenet_v2",
    "mobilenetv3-large": "mobilenet_v3_large",
    "mobilenetv3-small": "mobilenet_v3_small",
    "mnasnet-b1": "mnasnet1_0",
    **{f"resnet{depth}": f"resnet{depth}" for depth in RESNETS},
    "squeezenet": "squeezenet1_1",
    "shufflenetv2": "shufflenet_v2_x1_0",
    **{f"shufflenetv2-x{width}": f"shufflenet_v2_x{width.replace('.', '_')}" for width in ("0.5", "1.5", "2.0")},
}
TIMM = {
    **{f"b{i}": f"tf_efficientnet_b{i}" for i in range(8)},
    **{f"lite{i}": f"tf_efficientnet_lite{i}" for i in range(5)},
    **{f"efficientnetv2-{size}": f"tf_efficientnetv2_{size}" for size in ("s", "m", "l", "b0", "b1", "b2", "b3")},
    "mobilenetv1": "mobilenetv1_100",
    "mobilenetv2": "mobilenetv2_100",
    "mobilenetv3-large": "mobilenetv3_large_100",
    "mobilenetv3-small": "tf_mobilenetv3_small_100",
    "mnasnet-a1": "mnasnet_a1",
    "mnasnet-b1": "mnasnet_100",
    "mnasnet-small": "mnasnet_small",
    **{f"resnet{depth}": f"resnet{depth}" for depth in RESNETS},
}
PIXELS = 96


def networks() -> Iterator[tuple[str, str, str, nn.Module]]:
    """Layout, our name, their name and their network."""
    import timm
    import torch
    import torchvision

    for ours, theirs in TORCHVISION.items():
        torch.manual_seed(0)
        yield "torchvision", ours, theirs, getattr(torchvision.models, theirs)()
    for ours, theirs in TIMM.items():
        torch.manual_seed(0)
        yield "timm", ours, theirs, timm.create_model(theirs, pretrained=False)


def digest(shapes: dict[str, tuple[int, ...]]) -> str:
    """One short text for the names and shapes of all tensors; 1x1 convolutions and dense layers are one."""
    lines = sorted(f"{name} {[n for i, n in enumerate(shape) if i < 2 or n != 1]}" for name, shape in shapes.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def compare(layout: str, ours: str, theirs: str, network: nn.Module) -> float:
    """Signal-to-noise ratio in dB of our outputs against theirs, with the same weights through a file."""
    import torch

    from edgeeff.weights.sources import load, random

    family = next(f for f in registry.families().values() if ours in f.variants)
    variant = family.variants[ours]
    # Their own initial weights let a signal die out. Ours do not, and their network takes them by its own names.
    state, stored = random(variant, family, classes=1000, padding=None).state_dict, network.state_dict()
    for name, our in family.layouts(variant)[layout].items():
        stored[name] = state[our].reshape(stored[name].shape)
    network.load_state_dict(stored)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{theirs}.pth"
        torch.save(network.state_dict(), path)
        loaded = load(variant, family, str(path), classes=None, padding=None)
        at_size = replace(variant, resolution=PIXELS)
        module = family.build(at_size, classes=1000, padding=loaded.padding, bn_eps=loaded.bn_eps)
        module.load_state_dict(loaded.state_dict, assign=True)
        image = torch.randn(1, 3, PIXELS, PIXELS)
        with torch.no_grad():
            expected, found = network.eval()(image).double(), module(image).double()
            other = module(-image).double()
    if not float((other - found).std()) > 0.01 * float(found.std()) > 0:
        raise SystemExit(f"{theirs}: its outputs hardly depend on the image, so they prove nothing")
    noise = float(((expected - found) ** 2).sum())
    return float("inf") if noise == 0 else float(10 * torch.log10((expected**2).sum() / noise))


def main(arguments: list[str]) -> None:
    names: dict[str, dict[str, Any]] = {}
    worst = float("inf")
    for layout, ours, theirs, network in networks():
        shapes = {
            name: tuple(tensor.shape)
            for name, tensor in network.state_dict().items()
            if not name.endswith("num_batches_tracked")
        }
        names.setdefault(layout, {})[ours] = {"name": theirs, "tensors": len(shapes), "digest": digest(shapes)}
        sqnr_db = compare(layout, ours, theirs, network)
        worst = min(worst, sqnr_db)
        print(f"{layout:12} {theirs:26} {ours:18} {len(shapes):5} tensors {sqnr_db:7.1f} dB", flush=True)
    print(f"worst: {worst:.1f} dB")
    if arguments[:1] == ["--names"]:
        Path(arguments[1]).write_text(json.dumps(names, indent=1) + "\n")
    if worst < 100:
        raise SystemExit("a network differs")


if __name__ == "__main__":
    main(sys.argv[1:])
