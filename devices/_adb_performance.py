"""Android's mode of fixed performance: held while a session measures, and ended on every way out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from edgeeff.errors import DeviceError

from ._adb_shell import AdbShell
from ._closing import undisturbed

SWITCH = ("cmd", "power", "set-fixed-performance-mode-enabled")


class FixedPerformance:
    """The mode of one device. A file there says that it is held: what a lost or killed session left is ended now.

    Args:
        folder: ours on the device.
    """

    def __init__(self, shell: AdbShell, folder: str) -> None:
        self._shell = shell
        self._mark = f"{folder}/fixed-performance"
        if shell.problem(["ls", self._mark]) is None:
            self._end()

    @contextmanager
    def held(self) -> Iterator[None]:
        """The mode, for as long as the context lasts.

        Raises:
            DeviceError: the device refuses it, or was lost, so that nobody could end it.
        """
        try:
            self._shell.problem(["touch", self._mark])
            answer = self._shell.ask([*SWITCH, "true"])
            if re.search(r"fail|unknown|not supported|exception", answer, re.IGNORECASE):
                raise DeviceError(
                    f"{self._shell.serial} refuses its mode of fixed performance: {answer.strip().splitlines()[0]}",
                    "leave --fixed-performance out",
                )
            yield
        finally:
            with undisturbed():
                self._end()

    def _end(self) -> None:
        try:
            self._shell.problem([*SWITCH, "false"])
            self._shell.problem(["rm", "-f", self._mark])
        except DeviceError as error:
            raise DeviceError(
                f"{error.message}; its mode of fixed performance may still be on",
                "connect it again: the next session ends that mode, as does adb shell "
                f"{' '.join(SWITCH)} false; what was measured before is kept",
            ) from error
