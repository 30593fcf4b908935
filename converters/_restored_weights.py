"""Which weights go back to float32 where int8 weights alone miss a limit, all arithmetic being in float already.

Some weights are few and do most of the damage (Lite0: a projection of 2,304 is 31 dB alone, its classifier of 1,280,000
43 dB). What a layer's rounding costs the outputs is taken to first order, as in `_slopes`, and set against its bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

import torch
from torch import Tensor

from edgeeff.graph import Graph

from ._execute import Executor

_BATCH_SHARE = 0.3
"""Of the noise that is left by estimate, so much is taken away between two measurements."""


def restorations(noise: Mapping[str, float], sizes: Mapping[str, int]) -> Iterator[frozenset[str]]:
    """More and more layers, those first whose rounding makes the most noise for their bytes; never all of them.

    None whose rounding makes no noise.

    Args:
        noise: of each layer whose weights are in int8.
        sizes: of its weights.
    """
    loud = [name for name in noise if noise[name] > 0]
    loud.sort(key=lambda name: noise[name] / sizes[name], reverse=True)
    most = min(len(loud), len(noise) - 1)
    wanted = (1 - _BATCH_SHARE) * sum(noise[name] for name in loud)
    for count in range(1, most + 1):
        left = sum(noise[name] for name in loud[count:])
        if left <= wanted or count == most:
            yield frozenset(loud[:count])
            wanted = (1 - _BATCH_SHARE) * left


def rounding_noise(graph: Graph, rounded: Graph, layers: Collection[str], images: Tensor) -> dict[str, float]:
    """The power of the noise in the outputs that each layer's rounded weights make alone.

    Args:
        rounded: the graph with other weights and biases.
        images: looked at one by one.
    """
    exact, other = Executor(graph), Executor(rounded)
    generator, found = torch.Generator().manual_seed(0), dict.fromkeys(layers, 0.0)
    (name,) = graph.inputs

    def hook(layer: str, error: Tensor) -> Callable[[Tensor], None]:
        def see(slope: Tensor) -> None:
            found[layer] += float((slope * error).sum()) ** 2

        return see

    for index in range(len(images)):
        values = {name: images[index : index + 1].clone().requires_grad_()}
        for node in graph.nodes:
            values[node.name] = made = exact.step(node, values)
            if node.name in found:
                with torch.no_grad():
                    error = other.step(node, values) - made
                made.register_hook(hook(node.name, error))  # type: ignore[no-untyped-call]
        outputs = [values[output] for output in graph.outputs]
        signs = [torch.randint(0, 2, y.shape, generator=generator).to(y.dtype) * 2 - 1 for y in outputs]
        torch.autograd.backward(outputs, signs)
    return found
