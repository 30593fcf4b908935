"""What every open device has in common."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from edgeeff.errors import UsageError


class Closing:
    """A context that closes itself at its end, and has no mode of fixed performance."""

    name: str

    def hold_performance(self) -> AbstractContextManager[None]:
        raise UsageError(
            f"{self.name} has no mode of fixed performance",
            "leave --fixed-performance out; it is Android's (11 or later)",
        )

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
