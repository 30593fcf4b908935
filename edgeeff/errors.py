"""Every error that a user can meet, as one tree.

    EdgeeffError                 message, hint (the cure) and exit code
      UsageError            2    an unknown name, an impossible option, a missing or foreign input file
        MissingExtraError   2    a package is not installed; the hint is the pip command
      RefusedError          4    two sides that must not be compared
      DeviceError           5    the device is absent, lost, full, not permitted
      ConversionError       6    an unsupported op, a weight that does not fit, parity below its limit
      MeasurementError      7    every launch failed, no samples

The exit codes are the contract of DESIGN.md's command line; 1 ("regressed") and 3 ("inconclusive") are verdicts, not
errors: `compare.Verdict` has theirs.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EdgeeffError(Exception):
    """An error that is shown to the user as one sentence, with its cure.

    Args:
        message: what is wrong: names the thing, the value and the limit.
        hint: what cures it; empty when the message says it already.
    """

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class UsageError(EdgeeffError):
    """The command cannot be carried out as it was given."""


class MissingExtraError(UsageError):
    """A package that this step needs is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package {package}", f"pip install 'edgeeff[{extra}]'")
        self.package = package
        self.extra = extra


class RefusedError(EdgeeffError):
    """The two sides differ in something that makes a comparison meaningless."""

    exit_code = 4


class DeviceError(EdgeeffError):
    """The device is absent, lost, full or does not permit what is needed."""

    exit_code = 5


class ConversionError(EdgeeffError):
    """The network cannot be converted, or the written file does not compute what the network does."""

    exit_code = 6


class MeasurementError(EdgeeffError):
    """Nothing could be measured."""

    exit_code = 7


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """The error for a name that is not known, with "did you mean" where something is close."""
    known = sorted(known)
    close = difflib.get_close_matches(name.lower(), known, n=2, cutoff=0.5)
    suggestion = f"did you mean {' or '.join(close)}? " if close else ""
    return UsageError(f"unknown {kind} {name!r}", f"{suggestion}known: {', '.join(known) or 'none'}")
