"""How a program is started over SSH without building a command out of names.

SSH hands the far end's login shell one string. Ours is always the same: it starts /bin/sh on a script that reads the
arguments from its standard input, encoded, and becomes the program, whose own input is what follows. So no name that a
user or a board gave is ever part of a command, whatever the login shell is (no quote, "!" or line break is in it
that sh, csh and fish read in different ways).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

MARK = "edgeeff-started"
NOT_FOUND = 127

_READ_ARGUMENTS = (
    "IFS= read -r n || exit 125; "
    'while [ "$n" -gt 0 ]; do '
    "IFS= read -r a || exit 125; "
    # The dot keeps line breaks at the end of an argument, which $(...) cuts off.
    'a=$(printf "%b." "$a"); set -- "$@" "${a%.}"; n=$((n-1)); '
    "done; "
)
_START = (
    # What follows "pid (name)": state, parent, process group.
    'g=; if read -r s </proc/$$/stat; then s=${s##*") "}; s=${s#* }; s=${s#* }; g=${s%% *}; fi; '
    'command -v "$1" >/dev/null 2>&1 || exit 127; '
    f"echo {MARK} $$; "
    # A group of its own is what can be killed as a whole. sshd gives one; other servers may not.
    'case "$g" in "$$") ;; *) command -v setsid >/dev/null 2>&1 && exec setsid "$@";; esac; exec "$@"'
)

RUN = f"exec /bin/sh -c '{_READ_ARGUMENTS}{_START}'"
"""Reads arguments, says its process id (which is its group's), and becomes the program."""

KILL = 'exec /bin/sh -c \'IFS= read -r p && kill -9 "-$p" 2>/dev/null; kill -9 "$p" 2>/dev/null; exit 0\''
"""Reads a process id and kills its whole group."""


def encoded(argv: Sequence[str]) -> bytes:
    """The arguments as RUN reads them: their number, then one a line, all but plain characters in octal."""
    lines = [str(len(argv)), *map(_octal, argv)]
    return "".join(f"{line}\n" for line in lines).encode()


def started(line: str) -> int | None:
    """The process id in RUN's first line."""
    found = re.fullmatch(rf"{MARK} (\d+)", line.strip())
    return int(found[1]) if found else None


def _octal(argument: str) -> str:
    if "\0" in argument:
        raise ValueError("an argument has a NUL in it")
    plain = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=,+@%-")
    raw = argument.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if byte in plain else f"\\0{byte:03o}" for byte in raw)
