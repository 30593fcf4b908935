"""Work that Ctrl-C must not cut in two."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""The signals by which somebody stops a program. Windows has no SIGHUP."""


@contextmanager
def undisturbed() -> Iterator[None]:
    """A context that Ctrl-C, SIGTERM and SIGHUP do not interrupt, but come after.

    They are put off and not blocked: one that is blocked in this thread reaches another thread, and Python then raises
    here all the same; and a program that is started here would have it blocked for ever.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python raises in the main thread alone
        return
    came: list[tuple[int, FrameType | None]] = []
    handled = {number: signal.getsignal(number) for number in STOPS}
    usual = {number: handler for number, handler in handled.items() if handler not in (signal.SIG_IGN, None)}
    waits = True

    def put_off(number: int, frame: FrameType | None) -> None:
        if waits:
            came.append((number, frame))
        else:  # it came while the usual ones were put back
            _handle(usual[number], number, frame)

    try:
        for number in usual:
            signal.signal(number, put_off)
        yield
    finally:
        waits = False
        for number, handler in usual.items():
            signal.signal(number, handler)
        for number, frame in came[:1]:
            _handle(usual[number], number, frame)


def _handle(handler: object, number: int, frame: FrameType | None) -> None:
    if callable(handler):
        handler(number, frame)
    else:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
