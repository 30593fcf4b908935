"""Pieces of sentences that messages share."""

from __future__ import annotations

from collections.abc import Sequence


def counted(number: int, thing: str) -> str:
    """ "1 file", "3 files"."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def sizes(shape: Sequence[int | None]) -> str:
    """ "1x3x224x224", with "?" for a dimension that is open; "scalar" where there is none."""
    return "x".join("?" if n is None else str(n) for n in shape) or "scalar"


def first_line(error: BaseException) -> str:
    """What a foreign error says, without what follows on further lines; its type where it says nothing."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def printable(text: str) -> str:
    """In one line, with what would end it or command a terminal made visible: foreign files have such names."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
