"""What this machine says of itself: by the script that boards are asked with, and by Python where that says nothing."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import replace

from edgeeff.values import DeviceInfo, DeviceState

from ._board import FACTS_SCRIPT, STATE_SCRIPT, Facts, info_of, parse, state_of

ANSWER_S = 60.0
"""A hundredth of a second on a machine that is not in great trouble."""


def read_state() -> DeviceState:
    """The machine's condition now."""
    state = state_of(_ask(STATE_SCRIPT))
    return state if state.load_1min is not None else replace(state, load_1min=_load_1min())


def read_info(name: str) -> DeviceInfo:
    """What the machine is."""
    found = info_of(_ask(FACTS_SCRIPT), name)
    return replace(
        found,
        kind="host",
        model=found.model or platform.processor() or None,
        os=found.os or platform.platform() or None,
        kernel=found.kernel or platform.release() or None,
        abi=found.abi or platform.machine() or None,
        cpu_count=found.cpu_count or os.cpu_count(),
    )


def _ask(script: str) -> Facts:
    """The answer of /bin/sh; empty where there is none, or it takes too long."""
    try:
        done = subprocess.run(
            ["/bin/sh", "-s"], input=script.encode(), capture_output=True, timeout=ANSWER_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return parse([])
    return parse(done.stdout.decode(errors="replace").splitlines())


def _load_1min() -> float | None:
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None
