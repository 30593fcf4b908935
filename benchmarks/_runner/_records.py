"""How the runner speaks: records as JSON lines."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO


class Records:
    """Writes records; each is on its way before the next step starts."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def __call__(self, record: str, **fields: Any) -> None:
        self.line(json.dumps(dict(fields, record=record)))

    def line(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()
