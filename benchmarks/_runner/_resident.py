"""One model that stays loaded and runs when it is told to: a side of a pair, in a process of its own."""

from __future__ import annotations

import gc
import json
import os
import sys

from ._sides import Local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._facts import Facts
    from ._records import Records


def resident(spec: Facts, emit: Records) -> None:
    """Answers each line of standard input (call, outputs, switches, waited) with one line, until there is no more."""
    side = Local(spec)
    emit("loaded", **side.facts)
    gc.collect()
    gc.disable()
    while True:
        order = sys.stdin.buffer.readline().strip()
        if order == b"call":
            wall_ns, cpu_ns = side.call()
            emit.line(f"{wall_ns} {cpu_ns}")
        elif order == b"switches":
            emit.line(json.dumps(side.switches()))
        elif order == b"waited":
            emit.line(json.dumps(side.waited()))
        elif order == b"outputs":
            emit("outputs", **side.outputs())
        else:
            os._exit(0)  # the runtime's threads need no farewell
