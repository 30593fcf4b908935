"""How other people name the tensors of these networks: foreign key -> our key, for every layout.

Each layout is a function that gives the foreign name of each of our modules; the tensors of a module are named alike
everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgeeff.models._spec import Plan, modules

Names = Callable[[Sequence[str]], Sequence[str]]
"""Our modules in the order of the network -> their names in another project, in the same order."""

BATCH_NORM = ("weight", "bias", "running_mean", "running_var")
IN_BLOCK = ("expand", "fused", "depthwise", "se", "project")
"""The parts of a mobile block in their order."""


def layout(plan: Plan, names: Names) -> dict[str, str]:
    """Their key -> our key for every tensor of the network."""
    ours = list(modules(plan))
    with_norm = {module.removesuffix(".bn") for module in ours if module.endswith(".bn")}
    keys: dict[str, str] = {}
    for our, their in zip(ours, names(ours), strict=True):
        place, _, last = our.rpartition(".")
        plain = ("weight",) if last == "conv" and place in with_norm else ("weight", "bias")
        keys.update({f"{their}.{tensor}": f"{our}.{tensor}" for tensor in (BATCH_NORM if last == "bn" else plain)})
    return keys


def own(ours: Sequence[str]) -> Sequence[str]:
    """The names of `edgeeff.models._network`."""
    return ours


def timm(ours: Sequence[str]) -> list[str]:
    """timm's `efficientnet.py` and `mobilenetv3.py`, where the convolutions of each kind of block have other names.

    MobileNetV3's last convolution counts as a block there, and its dense layer as a convolution.
    """
    present = set(ours)
    fixed = {"stem.conv": "conv_stem", "stem.bn": "bn1", "hidden": "conv_head", "classifier": "classifier"}
    if "hidden" in present:
        stages = 1 + max(int(our.split(".")[1]) for our in ours if our.startswith("blocks."))
        fixed |= {"head.conv": f"blocks.{stages}.0.conv", "head.bn": f"blocks.{stages}.0.bn1"}
    else:
        fixed |= {"head.conv": "conv_head", "head.bn": "bn2"}

    def name(our: str) -> str:
        if our in fixed:
            return fixed[our]
        *block, part, leaf = our.split(".")
        place = ".".join(block)
        kinds = ("expand", "fused", "depthwise", "pointwise", "project")
        here = [kind for kind in kinds if f"{place}.{kind}.conv" in present]
        if part == "se":
            return f"{place}.se.conv_{leaf}"
        if leaf == "bn":
            return f"{place}.bn{here.index(part) + 1}"
        return f"{place}.{_timm_convolution(part, here)}"

    return [name(our) for our in ours]


def _timm_convolution(part: str, here: Sequence[str]) -> str:
    if part == "fused":
        return "conv_exp" if "project" in here else "conv"
    if part == "project":
        return "conv_pw" if here[0] == "depthwise" else "conv_pwl"
    return {"expand": "conv_pw", "depthwise": "conv_dw", "pointwise": "conv_pw"}[part]


def torchvision(
    ours: Sequence[str],
    *,
    through: bool = False,
    parts: str = "block",
    bare_projection: bool = False,
    classifier: str = "classifier.1",
) -> list[str]:
    """torchvision's EfficientNets and MobileNets: everything is a Sequential, so the parts of a block are numbered.

    Args:
        through: the blocks are numbered through, and not within their stages.
        parts: what the Sequential in a block is called.
        bare_projection: the last convolution and its normalisation are no Sequential of their own.
    """
    places = list(dict.fromkeys(our.rpartition(".")[0].rpartition(".")[0] for our in ours if our.startswith("blocks.")))
    stages = 1 + max(int(place.split(".")[1]) for place in places)
    tail = 1 + (len(places) if through else stages)
    leaves = {"conv": "0", "bn": "1", "reduce": "fc1", "expand": "fc2"}
    fixed = {
        "stem.conv": "features.0.0",
        "stem.bn": "features.0.1",
        "head.conv": f"features.{tail}.0",
        "head.bn": f"features.{tail}.1",
        "hidden": "classifier.0",
        "classifier": classifier,
    }
    present = set(ours)

    def name(our: str) -> str:
        if our in fixed:
            return fixed[our]
        _, stage, index, part, leaf = our.split(".")
        place = f"blocks.{stage}.{index}"
        block = f"{places.index(place) + 1}" if through else f"{int(stage) + 1}.{index}"
        number = _number(place, part, present)
        if bare_projection and part == "project":
            return f"features.{block}.{parts}.{number + int(leaves[leaf])}"
        return f"features.{block}.{parts}.{number}.{leaves[leaf]}"

    return [name(our) for our in ours]


def _number(place: str, part: str, present: set[str]) -> int:
    """The place of a part among those that its block has."""
    leaf = {"se": "reduce"}
    return [p for p in IN_BLOCK if f"{place}.{p}.{leaf.get(p, 'conv')}" in present].index(part)


def efficientnet_pytorch(ours: Sequence[str]) -> list[str]:
    """efficientnet-pytorch and efficientnet-lite-pytorch: the blocks are numbered through."""
    names = {
        "stem.conv": "_conv_stem",
        "stem.bn": "_bn0",
        "head.conv": "_conv_head",
        "head.bn": "_bn1",
        "classifier": "_fc",
        "expand.conv": "_expand_conv",
        "expand.bn": "_bn0",
        "depthwise.conv": "_depthwise_conv",
        "depthwise.bn": "_bn1",
        "se.reduce": "_se_reduce",
        "se.expand": "_se_expand",
        "project.conv": "_project_conv",
        "project.bn": "_bn2",
    }
    blocks = list(dict.fromkeys(tuple(our.split(".")[1:3]) for our in ours if our.startswith("blocks.")))

    def name(our: str) -> str:
        if our in names:
            return names[our]
        _, stage, index, part = our.split(".", 3)
        return f"_blocks.{blocks.index((stage, index))}.{names[part]}"

    return [name(our) for our in ours]
