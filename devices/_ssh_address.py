"""ssh://user@host:port"""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgeeff.errors import UsageError

# A name that began with "-" would be an option to programs that a person copies it to.
_HOST = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252})"
_PATTERN = re.compile(
    rf"ssh:(?://)?(?:([A-Za-z0-9_][A-Za-z0-9._-]{{0,63}})@)?({_HOST}|\[[0-9A-Fa-f:.]+\])(?::(\d{{1,5}}))?/?"
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a board is. User and port are None where ssh's own configuration is to say."""

    host: str
    user: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user else ""
        return f"ssh://{user}{host}" + (f":{self.port}" if self.port else "")


def parse_address(text: str) -> Address:
    """The address in "ssh://user@host:port"; the host may be an alias of ~/.ssh/config, and IPv6 stands in brackets.

    Raises:
        UsageError: it is none.
    """
    found = _PATTERN.fullmatch(text)
    port = int(found[3]) if found and found[3] else None
    if not found or (port is not None and not 0 < port < 65536):
        raise UsageError(f"{text!r} is no address of a board", "write ssh://user@host or ssh://user@host:port")
    return Address(found[2].strip("[]"), found[1], port)
