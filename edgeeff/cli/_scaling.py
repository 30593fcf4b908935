"""The options that scale a network, for every command that takes a variant."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

import click

from edgeeff.errors import UsageError

if TYPE_CHECKING:
    from edgeeff.protocols import ModelFamily
    from edgeeff.values import Variant


@dataclass(frozen=True, slots=True)
class ScalingOptions:
    """What the user said of scaling; None where nothing was said."""

    width: float | None
    depth: float | None
    resolution: int | None
    phi: float | None
    alpha: float | None
    beta: float | None
    gamma: float | None

    @property
    def is_given(self) -> bool:
        """Whether the user said anything of scaling."""
        return any(value is not None for value in astuple(self))

    def apply(self, base: Variant, family: ModelFamily) -> tuple[Variant, ModelFamily]:
        """The base variant, scaled as the options say; the base itself where they say nothing."""
        from edgeeff.scaling.compound import compound

        given = (self.width, self.depth, self.resolution)
        named = {"alpha": self.alpha, "beta": self.beta, "gamma": self.gamma}
        bases = {name: base for name, base in named.items() if base is not None}
        if self.phi is not None:
            if any(value is not None for value in given):
                raise UsageError(
                    "--phi sets width, depth and resolution together: leave out --width, --depth, --resolution"
                )
            made = compound(base, self.phi, **bases)
            return family.scaled(base, width=made.width, depth=made.depth, resolution=made.resolution), family
        if bases:
            raise UsageError(f"--{min(bases)} is a base of compound scaling", "give its exponent with --phi")
        if all(value is None for value in given):
            return base, family
        width = base.width if self.width is None else self.width
        depth = base.depth if self.depth is None else self.depth
        resolution = base.resolution if self.resolution is None else self.resolution
        return family.scaled(base, width=width, depth=depth, resolution=resolution), family


def scaling_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options; the command gets them as one `scaling` argument."""

    @click.option("--width", type=float, help="Channels, as a multiple of b0's, lite0's or the network's own.")
    @click.option("--depth", type=float, help="Repeats, as a multiple of b0's, lite0's or the network's own.")
    @click.option("--resolution", type=int, help="Size of the input in pixels.")
    @click.option("--phi", type=float, help="Compound: depth, width, resolution times alpha, beta, gamma ^ PHI.")
    @click.option("--alpha", type=float, help="Base of the depth for --phi; 1.2 by default.")
    @click.option("--beta", type=float, help="Base of the width for --phi; 1.1 by default.")
    @click.option("--gamma", type=float, help="Base of the resolution for --phi; 1.15 by default.")
    @functools.wraps(command)
    def wrapped(
        *args: Any,
        width: float | None,
        depth: float | None,
        resolution: int | None,
        phi: float | None,
        alpha: float | None,
        beta: float | None,
        gamma: float | None,
        **rest: Any,
    ) -> Any:
        return command(*args, scaling=ScalingOptions(width, depth, resolution, phi, alpha, beta, gamma), **rest)

    return wrapped
