"""The Python runner, as it is brought to a device that has Python."""

from __future__ import annotations

from pathlib import Path

from edgeeff.errors import UsageError
from edgeeff.protocols import Device
from edgeeff.records import RecordRunner

RUNNER = Path(__file__).with_name("_runner.py")


def python_runner(name: str, device: Device, file: Path | None) -> RecordRunner:
    """Pushes the runner and says how it is started.

    Raises:
        UsageError: a runner of the user's own was given, for which this one has no use.
        DeviceError: the device has no Python, or cannot take the file.
    """
    if file is not None:
        raise UsageError(f"{name} has a runner of its own and takes no --runner {file}", "leave --runner out")
    return RecordRunner((*device.python(), device.push(RUNNER)))
