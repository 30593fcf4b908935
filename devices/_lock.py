"""One session a device: two at the same time would measure each other."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path

from edgeeff.errors import DeviceError


class Lock:
    """Held by this process until it is closed, or the process ends in whatever way.

    Args:
        device: what tells it from others, for example "adb:1A2B".

    Raises:
        DeviceError: another process holds it.
    """

    def __init__(self, device: str) -> None:
        self._handle = -1
        if sys.platform == "win32":
            return
        import fcntl

        name = f"edgeeff-{os.getuid()}-{hashlib.sha256(device.encode(errors='replace')).hexdigest()[:16]}.lock"
        self._handle = os.open(Path(tempfile.gettempdir()) / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise DeviceError(
                f"{device} is in use by another edgeeff", "wait until it has ended, or measure on another device"
            ) from None

    def close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
