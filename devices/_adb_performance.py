"""Android's mode of fixed performance: held while a session measures, and ended on every way out."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from edgeeff.errors import DeviceError
from edgeeff.signals import undisturbed

from ._adb_shell import KEPT, AdbShell

SWITCH = "cmd power set-fixed-performance-mode-enabled"

_LOG = logging.getLogger(__name__)


class FixedPerformance:
    """The mode of one device. A file there says that it is held: what a lost or killed session left is ended now.

    The file does not tell such a session from one that another computer runs at this moment, so a warning is logged.

    Args:
        folder: ours on the device.

    Raises:
        DeviceError: what was left on cannot be ended.
    """

    def __init__(self, shell: AdbShell, folder: str) -> None:
        self._shell = shell
        self._mark = f"{folder}/fixed-performance"
        if shell.problem(["ls", self._mark]) is None:
            self._end()
            _LOG.warning(
                "warning: %r was in the mode of fixed performance of another session, and the mode was ended: if that "
                "session was not lost but measures from another computer, do not use what it measures from now on",
                shell.serial,
            )

    @contextmanager
    def held(self) -> Iterator[None]:
        """The mode, for as long as the context lasts.

        Raises:
            DeviceError: the device refuses it, or was lost, so that nobody could end it.
        """
        refusal = None
        try:
            self._shell.problem(["touch", self._mark])
            refusal = self._refusal("true")
            if refusal is None:
                yield
        finally:
            with undisturbed():
                if refusal is None:
                    self._end()
                else:  # it was never on
                    self._shell.problem(["rm", "-f", self._mark])
        if refusal is not None:
            raise DeviceError(
                f"{self._shell.serial} refuses its mode of fixed performance: {refusal}",
                "leave --fixed-performance out",
            )

    def _refusal(self, wanted: str) -> str | None:
        """Switches the mode, "true" or "false"; what the device says where it does not do so."""
        # Some Androids say so by the exit code alone, others by what they print.
        answer = self._shell.ask(["sh", "-c", f"{SWITCH} {wanted} 2>&1 || echo failed"])
        if re.search(r"fail|unknown|not supported|exception", answer, re.IGNORECASE):
            return answer.strip().splitlines()[0]
        return None

    def _end(self) -> None:
        """Switches the mode off; the file stays where that fails, so that the next session tries it again."""
        still = "its mode of fixed performance may still be on"
        try:
            refusal = self._refusal("false")
            if refusal is None:
                self._shell.problem(["rm", "-f", self._mark])
        except DeviceError as error:
            raise DeviceError(
                f"{error.message}; {still}",
                f"connect it again: the next session ends that mode, as does adb shell {SWITCH} false; {KEPT}",
            ) from error
        if refusal is not None:
            raise DeviceError(
                f"{self._shell.serial} does not end what --fixed-performance began ({refusal}); {still}",
                f"restart it, which ends that mode; the next session tries again (adb shell rm {self._mark} stops that)"
                f"; {KEPT}",
            )
