"""How other people name the tensors of these networks: foreign key -> our key, for every layout.

Each layout is one function that names the modules of a block; the tensors of a module are named alike everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from edgeeff.models._plan import Block, Plan

Modules = Iterator[tuple[str, str]]
"""Pairs of (our module, their module)."""

BATCH_NORM = ("weight", "bias", "running_mean", "running_var")


def layout(plan: Plan, modules: Callable[[Plan], Modules]) -> dict[str, str]:
    """Their key -> our key for every tensor of the network."""
    keys: dict[str, str] = {}
    for ours, theirs in modules(plan):
        last = ours.rpartition(".")[2]
        tensors = {"conv": ("weight",), "bn": BATCH_NORM}.get(last, ("weight", "bias"))
        keys.update({f"{theirs}.{tensor}": f"{ours}.{tensor}" for tensor in tensors})
    return keys


def own(plan: Plan) -> Modules:
    """The names of `edgeeff.models._network`."""
    for ours in _modules(plan):
        yield ours, ours


def timm(plan: Plan) -> Modules:
    """timm's `efficientnet.py`. The convolutions of a block without expansion have names of their own."""
    fixed = {
        "stem.conv": "conv_stem",
        "stem.bn": "bn1",
        "head.conv": "conv_head",
        "head.bn": "bn2",
        "classifier": "classifier",
    }
    expanded = {
        "expand.conv": "conv_pw",
        "expand.bn": "bn1",
        "depthwise.conv": "conv_dw",
        "depthwise.bn": "bn2",
        "project.conv": "conv_pwl",
        "project.bn": "bn3",
    }
    plain = {
        "depthwise.conv": "conv_dw",
        "depthwise.bn": "bn1",
        "project.conv": "conv_pw",
        "project.bn": "bn2",
    }
    squeeze = {"se.reduce": "se.conv_reduce", "se.expand": "se.conv_expand"}

    def name(stage: int, index: int, block: Block, part: str) -> str:
        return f"blocks.{stage}.{index}.{({**squeeze, **(expanded if block.expands else plain)})[part]}"

    return _renamed(plan, fixed, name)


def torchvision(plan: Plan) -> Modules:
    """torchvision's `models/efficientnet.py`: everything is a Sequential, so the parts of a block are numbered."""
    tail = len(plan.stages) + 1
    fixed = {
        "stem.conv": "features.0.0",
        "stem.bn": "features.0.1",
        "head.conv": f"features.{tail}.0",
        "head.bn": f"features.{tail}.1",
        "classifier": "classifier.1",
    }
    leaves = {"conv": "0", "bn": "1", "reduce": "fc1", "expand": "fc2"}

    def name(stage: int, index: int, block: Block, part: str) -> str:
        role, leaf = part.split(".")
        present = ["expand", "depthwise", "se", "project"] if block.expands else ["depthwise", "se", "project"]
        return f"features.{stage + 1}.{index}.block.{present.index(role)}.{leaves[leaf]}"

    return _renamed(plan, fixed, name)


def efficientnet_pytorch(plan: Plan) -> Modules:
    """efficientnet-pytorch and efficientnet-lite-pytorch: the blocks are numbered through."""
    fixed = {
        "stem.conv": "_conv_stem",
        "stem.bn": "_bn0",
        "head.conv": "_conv_head",
        "head.bn": "_bn1",
        "classifier": "_fc",
    }
    parts = {
        "expand.conv": "_expand_conv",
        "expand.bn": "_bn0",
        "depthwise.conv": "_depthwise_conv",
        "depthwise.bn": "_bn1",
        "se.reduce": "_se_reduce",
        "se.expand": "_se_expand",
        "project.conv": "_project_conv",
        "project.bn": "_bn2",
    }
    before = [sum(map(len, plan.stages[:stage])) for stage in range(len(plan.stages))]

    def name(stage: int, index: int, block: Block, part: str) -> str:
        return f"_blocks.{before[stage] + index}.{parts[part]}"

    return _renamed(plan, fixed, name)


def _renamed(plan: Plan, fixed: dict[str, str], name: Callable[[int, int, Block, str], str]) -> Modules:
    for ours in _modules(plan):
        if ours in fixed:
            yield ours, fixed[ours]
        else:
            _, stage, index, part = ours.split(".", 3)
            yield ours, name(int(stage), int(index), plan.stages[int(stage)][int(index)], part)


def _modules(plan: Plan) -> Iterator[str]:
    """Our modules that have tensors, in the order of the network."""
    yield from ("stem.conv", "stem.bn")
    for s, stage in enumerate(plan.stages):
        for b, block in enumerate(stage):
            roles = [*(["expand"] if block.expands else []), "depthwise"]
            yield from (f"blocks.{s}.{b}.{role}.{leaf}" for role in roles for leaf in ("conv", "bn"))
            if block.squeezed:
                yield from (f"blocks.{s}.{b}.se.reduce", f"blocks.{s}.{b}.se.expand")
            yield from (f"blocks.{s}.{b}.project.conv", f"blocks.{s}.{b}.project.bn")
    yield from ("head.conv", "head.bn", "classifier")
