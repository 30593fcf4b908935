"""`edgeeff convert --via NAME`: the networks by another project's converter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgeeff import registry
from edgeeff.cli._shared import say
from edgeeff.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from edgeeff.int8.calibration import Calibration
    from edgeeff.protocols import Road, Runtime
    from edgeeff.traced_network import Network
    from edgeeff.values import Artifact

RoadTarget = tuple[str, "Runtime | None", str]


def find_road(
    name: str, formats: Sequence[str], precisions: Sequence[str], **unused: str | None
) -> tuple[Road, list[RoadTarget]]:
    """The road and what is to be written by it; every name checked and every package found before work begins.

    Args:
        unused: option -> value of what a road does not take.
    """
    from edgeeff.roads import SAVED_MODEL

    road = registry.road(name)
    given = [option for option, value in unused.items() if value is not None]
    if given:
        raise UsageError(f"--{' and --'.join(given)} cannot go with --via {name}", "it decides that by itself")
    converter = road.converter(None)
    targets: list[RoadTarget] = []
    for format_name in dict.fromkeys(formats):
        if format_name not in road.formats:
            raise unknown_name(f"format of --via {name}", format_name, road.formats)
        is_folder = format_name == SAVED_MODEL
        known = ("fp32",) if is_folder else converter.precisions
        for precision in dict.fromkeys(precisions):
            if precision not in known:
                raise unknown_name(f"precision of {format_name} via {name}", precision, known)
            targets.append((format_name, None if is_folder else registry.runtime(converter.runtime), precision))
    road.version()
    return road, targets


def convert_by_road(
    networks: Iterator[Network],
    road: Road,
    targets: Sequence[RoadTarget],
    out: Path,
    load_images: Callable[[Network], Calibration | None],
    min_sqnr_db: float | None,
) -> Iterator[Artifact]:
    """Each file as it is in place."""
    from edgeeff.converters import on_held_out
    from edgeeff.roads import convert_by

    for network in networks:
        images = load_images(network)

        def held_out(made: Network, images: Calibration | None = images) -> Network:
            return made if images is None else on_held_out(made, images)

        yield from convert_by(
            road,
            network,
            targets,
            out,
            lambda name: say(f"writing {out / name}"),
            None if images is None else images.images,
            held_out,
            min_sqnr_db,
        )
