"""What every open device has in common."""

from __future__ import annotations

from types import TracebackType
from typing import Self


class Closing:
    """A context that closes itself at its end."""

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
