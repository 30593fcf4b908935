"""Room in the ranges for what other photos bring: where rounding costs nothing, int8 holds more than was seen.

The range of least noise is as tight as the photos allow, and on others some value is always beyond: often one whose
rounding hardly shows (B0: a squeezed mean at 62 dB), so that twice the range would have cost nothing. Each value is
given what its rounding can spare. How much that is, is chosen by leaving photos out in turn: ranges by the others,
noise on these (cross-validation, Stone 1974), by the profiles alone, without running the network again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from edgeeff.graph import Graph
from edgeeff.int8.quantization import HIGHEST, LOWEST, ValueScale, value_scale
from edgeeff.ops import Swish, Unary

from ._slopes import Profile

_FACTORS = (4.0, 3.0, 2.5, 2.0, 1.75, 1.5, 1.3, 1.15)
_BEYOND = 2.0
"""Times what was seen is the most that a range is widened to."""

Profiles = Mapping[str, Profile]
Forms = Mapping[str, ValueScale]
Ends = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Room:
    """How much wider ranges are.

    Args:
        width: all of them, as far as values were seen.
        share: of all noise, what may be added, an equal part by each value.
    """

    width: float = 1.0
    share: float = 0.0

    def __str__(self) -> str:
        wider = [f"{self.width:g} times as wide"] if self.width > 1 else []
        return " and ".join(wider + ([f"with {100 * self.share:g} % more noise for room"] if self.share else []))


NO_ROOM = Room()
ROOMS = tuple(Room(width, share) for width in (1.0, 1.2) for share in (0.0, 0.1, 0.3, 1.0))


def with_room(profiles: Profiles, forms: Forms, room: Room, ends: Ends) -> dict[str, ValueScale]:
    """The forms, widened.

    Args:
        ends: the least and the greatest that a value can be, whatever the image, see `ends`.
    """
    if room.width > 1:
        forms = {name: _widened(profiles[name], form, room.width, 1.0, ends[name]) for name, form in forms.items()}
    if not room.share:
        return dict(forms)
    noise = {name: profiles[name].noise(form) for name, form in forms.items()}
    spare = room.share * sum(noise.values()) / max(len(forms), 1)
    made = {}
    for name, form in forms.items():
        wider = (_widened(profiles[name], form, factor, _BEYOND, ends[name]) for factor in _FACTORS)
        fits = (each for each in wider if profiles[name].noise(each) <= noise[name] + spare)
        made[name] = next(fits, form)
    return made


def _widened(profile: Profile, form: ValueScale, factor: float, beyond: float, ends: tuple[float, float]) -> ValueScale:
    low, high = ((q - form.zero_point) * form.scale for q in (LOWEST, HIGHEST))
    return value_scale(
        min(low, max(low * factor, beyond * profile.low, ends[0])),
        max(high, min(high * factor, beyond * profile.high, ends[1])),
    )


def ends(graph: Graph) -> dict[str, tuple[float, float]]:
    """The least and the greatest that each value of a graph can be: what its last op leaves possible."""
    found = dict.fromkeys(graph.inputs, (-math.inf, math.inf))
    for node in graph.nodes:
        low, high = -math.inf, math.inf
        if node.op == Unary("silu"):
            low = -0.2785
        elif isinstance(node.op, Swish):
            low = -0.2785 / float(node.op.beta.min())
        elif node.op == Unary("sigmoid"):
            low, high = 0.0, 1.0
        match getattr(node.op, "activation", "none"):
            case "relu":
                low = 0.0
            case "relu6":
                low, high = 0.0, 6.0
        found[node.name] = low, high
    return found


def best_room(
    folds: Sequence[tuple[Profiles, Profiles]],
    choose: Callable[[Profiles], Forms],
    counted: Collection[str],
    ends: Ends,
) -> Room:
    """The room with the least noise on photos that the ranges have not seen.

    Args:
        folds: profiles of most of the photos, and of the rest.
        choose: profiles -> the int8 form of each value.
        counted: the values that are rounded.
    """
    noise = dict.fromkeys(ROOMS, 0.0)
    for most, rest in folds:
        forms = {name: form for name, form in choose(most).items() if name in counted}
        for room in ROOMS:
            made = with_room(most, forms, room, ends)
            noise[room] += sum(rest[name].noise(form) * rest[name].signal for name, form in made.items())
    return min(ROOMS, key=lambda room: noise[room])
