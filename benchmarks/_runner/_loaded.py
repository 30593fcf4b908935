"""A model that is loaded and can be run."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._facts import Facts


class Loaded:
    """A model with its inputs filled.

    Args:
        invoke: runs it once.
        outputs: gives the last run's outputs as (name, array, scale, zero point); a scale of 0 means real numbers.
        inputs: name, dtype and shape of each. Pictures have their channels first, whatever the format's layout.
        facts: what the runtime says of it.
    """

    __slots__ = ("facts", "inputs", "invoke", "outputs")

    def __init__(
        self,
        invoke: Callable[[], Any],
        outputs: Callable[[], list[tuple[str, Any, float, int]]],
        inputs: list[Facts],
        facts: Facts,
    ) -> None:
        self.invoke = invoke
        self.outputs = outputs
        self.inputs = inputs
        self.facts = facts
