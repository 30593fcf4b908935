"""Builds the networks that are converted: a variant with its weights, or any torch module of the user's."""

from __future__ import annotations

import copy
import importlib
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeeff.errors import ConversionError, EdgeeffError, MissingExtraError, UsageError
from edgeeff.traced_network import Network
from edgeeff.weights.conventions import default

if TYPE_CHECKING:
    from edgeeff.graph import Graph
    from edgeeff.protocols import ModelFamily
    from edgeeff.values import Variant
    from edgeeff.weights.sources import LoadedWeights

NOISE_LABEL = "seeded noise, N(0, 1), seed 0"


class Traced(Protocol):
    """What tracing gives."""

    @property
    def graph(self) -> Graph: ...

    @property
    def outputs(self) -> tuple[NDArray[np.float32], ...]: ...


Tracer = Callable[..., Traced]
"""trace(module, inputs, name=...) -> Traced; the command line passes `edgeeff.converters.trace`."""


def noise(shapes: Sequence[Sequence[int]]) -> tuple[NDArray[np.float32], ...]:
    """Inputs on which parity is measured: as a normalised image has them, mean 0 and deviation 1."""
    generator = np.random.Generator(np.random.PCG64(0))
    return tuple(generator.standard_normal(tuple(shape), np.float32) for shape in shapes)


def from_variant(variant: Variant, family: ModelFamily, weights: LoadedWeights, trace: Tracer) -> Network:
    """A member of a family with the given weights, traced at its resolution."""
    import torch

    module = family.build(variant, classes=weights.classes, padding=weights.padding, bn_eps=weights.bn_eps)
    module.load_state_dict(weights.state_dict, assign=True)
    inputs = noise([(1, 3, variant.resolution, variant.resolution)])
    # torch convolves twice as fast with the channels last, and neither the graph nor the numbers depend on it. The
    # images decide that; to reorder the weights as well would only copy them (B7: 250 MB).
    images = [torch.from_numpy(image).contiguous(memory_format=torch.channels_last) for image in inputs]
    traced = trace(module, images, name=variant.name)
    return Network(
        name=variant.name,
        graph=traced.graph,
        inputs=inputs,
        outputs=traced.outputs,
        inputs_label=NOISE_LABEL,
        weights=weights.label,
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        family=family.name,
        resolution=variant.resolution,
        padding=weights.padding,
        own_padding=default(variant, family, None).padding,
        bn_eps=weights.bn_eps,
        classes=weights.classes,
        normalisation=weights.normalisation or variant.normalisation,
        labels=weights.labels,
        weights_sha256=weights.sha256,
        notes=weights.notes,
        exact=partial(_in_float64, module),
    )


def _in_float64(module: Any, inputs: Sequence[NDArray[np.float32]]) -> tuple[NDArray[np.float64], ...]:
    """The one output of a family's network, computed in float64 by a copy of it."""
    import torch

    with torch.no_grad():
        output = copy.deepcopy(module).eval().double()(*(torch.from_numpy(image).double() for image in inputs))
    return (output.numpy(),)


def from_module(spec: str, shapes: Sequence[Sequence[int]], trace: Tracer) -> Network:
    """Any torch network: `spec` is "package.module:name", a module or a function that returns one.

    Args:
        shapes: of each input, NCHW, batch 1.

    Raises:
        UsageError: there is no such module or name, or what it gives is no torch module.
        ConversionError: the user's function fails.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("torch", "torch", "converting a network") from error
    made = _call(spec, _find(spec))
    if not isinstance(made, torch.nn.Module):
        raise UsageError(f"{spec} gives a {type(made).__name__}, not a torch.nn.Module")
    inputs = noise(shapes)
    name = spec.rpartition(":")[2]
    traced = trace(made, [torch.from_numpy(image) for image in inputs], name=name)
    return Network(
        name=name,
        graph=traced.graph,
        inputs=inputs,
        outputs=traced.outputs,
        inputs_label=NOISE_LABEL,
        weights=f"module({spec})",
        parameters=sum(parameter.numel() for parameter in made.parameters()),
        resolution=inputs[0].shape[-1],
        notes=("the weights are as the module's own code made or loaded them",),
    )


def _find(spec: str) -> Any:
    module_name, colon, name = spec.partition(":")
    if not colon or not module_name or not name.isidentifier():
        raise UsageError(f"--module {spec!r} is not of the form package.module:function")
    # As `python -m` does: the user's module is looked for where the user stands.
    sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"--module {spec}: there is no module {error.name!r}", "it is looked for here and among the packages"
        ) from error
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise ConversionError(f"--module {spec}: importing {module_name} fails: {_first_line(error)}") from error
    finally:
        sys.path.pop(0)
    if not hasattr(module, name):
        raise UsageError(f"--module {spec}: {module_name} has no {name!r}")
    return getattr(module, name)


def _call(spec: str, made: Any) -> Any:
    import torch

    if isinstance(made, torch.nn.Module) or not callable(made):
        return made
    torch.manual_seed(0)  # a network that initialises itself gives the same file every time
    try:
        return made()
    except EdgeeffError:
        raise
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise ConversionError(f"--module {spec}: calling it fails: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
