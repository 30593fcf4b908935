"""The options of `edgeeff convert` that say how a network is brought to int8."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeeff.cli._shared import say
from edgeeff.cli._types import Share
from edgeeff.errors import UsageError
from edgeeff.int8.integer_options import IntegerOptions
from edgeeff.int8.techniques import TECHNIQUES, without

if TYPE_CHECKING:
    from edgeeff.int8.calibration import Calibration
    from edgeeff.traced_network import Network

NO_IMAGES = Path("none")
"""`--calibration none`; a folder of that name is `./none`."""

_ROUNDED = ("int8-weights", "dynamic", "int8")


@dataclass(frozen=True, slots=True)
class IntegerRequest:
    """What the user asks of int8 files: the images, and `IntegerOptions`."""

    calibration: Path | None = None
    options: IntegerOptions = field(default_factory=IntegerOptions)

    def require_use(self, precisions: Sequence[str]) -> None:
        """Refuses options that none of the precisions would use."""
        rounded = [precision for precision in precisions if precision in _ROUNDED]
        options = self.options
        given = {
            "--calibration": self.calibration is not None,
            "--min-sqnr": options.min_sqnr_db is not None,
            "--without": bool(options.without),
            "--explain": options.explain,
            "--max-drop": options.max_drop is not None,
        }
        for option, is_given in given.items():
            usable = "int8" in precisions if option == "--max-drop" else bool(rounded)
            if is_given and not usable:
                raise UsageError(
                    f"{option} changes nothing at --precision {', '.join(precisions)}", "add --precision int8"
                )

    def require_images(self, precisions: Sequence[str]) -> None:
        """Refuses a precision that wants images where none were named, before other files are written."""
        if "int8" in precisions and self.calibration is None:
            raise UsageError(
                "--precision int8 needs --calibration DIR, a folder of photos, or --calibration none",
                "--precision int8-weights and dynamic need none",
            )

    @property
    def unused_by_roads(self) -> dict[str, str | None]:
        """The options that another project's converter does not take."""
        options = self.options
        given = {"max-drop": options.max_drop is not None, "without": options.without, "explain": options.explain}
        if self.calibration == NO_IMAGES:
            given["calibration none"] = True
        return {option: "given" for option, is_given in given.items() if is_given}

    def images(self, network: Network) -> Calibration | None:
        """The calibration images as the network wants them; None where none were named.

        Raises:
            UsageError: the network takes no images, or gives no classes where `--max-drop` counts them.
        """
        if self.options.max_drop is not None and network.classes == 0:
            raise UsageError(f"--max-drop counts classes, and {network.name} gives features", "use --min-sqnr")
        if self.calibration is None:
            return None
        if len(network.inputs) != 1 or network.resolution is None or network.normalisation is None:
            raise UsageError(
                f"--calibration needs a network of one image whose normalisation is known; {network.name} is not"
            )
        if self.calibration == NO_IMAGES:
            return self._made(network)
        from edgeeff.int8.calibration import judged_for, load

        most_judged = judged_for(self.options.max_drop)
        return load(self.calibration, network.resolution, network.normalisation, most_judged=most_judged)

    def _made(self, network: Network) -> Calibration:
        from edgeeff.converters import synthesise

        say(f"{network.name}: making images to calibrate on from the network alone")
        return synthesise(network)


def integer_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options; the command gets them as one `request` argument."""

    @click.option(
        "--calibration",
        type=click.Path(path_type=Path),
        metavar="DIR|none",
        help="A folder of photos, for the int8 precisions; none: from the network alone.",
    )
    @click.option(
        "--min-sqnr", "min_sqnr_db", type=float, metavar="DB", help="What an int8 file must reach on held-out images."
    )
    @click.option(
        "--max-drop",
        type=Share(zero=True),
        metavar="1%",
        help="Of held-out images, how many may change their class in int8.",
    )
    @click.option(
        "--without", "left_out", multiple=True, metavar="NAME", help=f"Leave out: {', '.join(TECHNIQUES)}. Repeatable."
    )
    @click.option("--explain", is_flag=True, help="Say what each technique gains and each value costs in int8.")
    @functools.wraps(command)
    def wrapped(
        *args: Any,
        calibration: Path | None,
        min_sqnr_db: float | None,
        max_drop: float | None,
        left_out: Sequence[str],
        explain: bool,
        **rest: Any,
    ) -> Any:
        options = IntegerOptions(min_sqnr_db, max_drop, without(left_out), explain)
        return command(*args, request=IntegerRequest(calibration, options), **rest)

    return wrapped
