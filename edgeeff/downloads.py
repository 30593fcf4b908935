"""A file of the network's, by a SHA-256 that is known beforehand: whole and right, or not at all."""

from __future__ import annotations

import hashlib
import http.client
import re
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeeff.errors import UsageError
from edgeeff.files import own_folder, replacing, sha256_of

ANSWER_S = 20.0
"""How long a server may be silent."""
LARGEST_BYTES = 200 << 20
_BLOCK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Pinned:
    """A file at an address, and the SHA-256 that it must have. As text, like pip's: https://host/path#sha256=HEX."""

    url: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.url}#sha256={self.sha256}"


def is_address(text: str) -> bool:
    """Whether this is meant as an address, not as a path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text) is not None


def pinned(text: str) -> Pinned:
    """An address with its hash.

    Raises:
        UsageError: there is no hash in it, or nothing that can be downloaded.
    """
    url, _, fragment = text.partition("#")
    if not re.match(r"https?://[^/\s]", url, re.IGNORECASE):
        raise UsageError(f"{url} cannot be downloaded: it is neither https:// nor http://")
    if not re.fullmatch(r"sha256=[0-9a-fA-F]{64}", fragment):
        raise UsageError(
            f"{url} is not downloaded without the SHA-256 that it must have",
            f"add it: {url}#sha256=... (64 hexadecimal digits, as sha256sum prints them of a file that you trust)",
        )
    return Pinned(url, fragment.partition("=")[2].lower())


def programs_folder() -> Path:
    """Where programs are kept that were downloaded or built: in ~/.cache, or $XDG_CACHE_HOME."""
    return own_folder("XDG_CACHE_HOME", ".cache") / "runners"


def program(wanted: Pinned, target: Path, cure: str) -> Path:
    """The file at `target`, downloaded where it is not there yet, and made executable.

    Args:
        cure: what to do where it cannot be downloaded.

    Raises:
        UsageError: no network, no such file, one that is cut off, too large or another, or no place for it.
    """
    if target.is_file() and sha256_of(target) == wanted.sha256:
        return target
    with replacing(target, elsewhere="set XDG_CACHE_HOME to another folder") as temporary:
        digest = hashlib.sha256()
        with temporary.open("wb") as file:
            for block in _blocks(wanted.url, cure):
                digest.update(block)
                file.write(block)
        if digest.hexdigest() != wanted.sha256:
            raise UsageError(f"{wanted.url} has the SHA-256 {digest.hexdigest()}, not {wanted.sha256}", cure)
    target.chmod(0o755)
    return target


def _blocks(url: str, cure: str) -> Iterator[bytes]:
    """What a server sends, all of it. Its errors become ours here, so that those of the disk stay apart."""
    received, declared = 0, None
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_S) as answer:
            declared = _declared(answer)
            while block := answer.read(_BLOCK_BYTES):
                received += len(block)
                if max(received, declared or 0) > LARGEST_BYTES:
                    raise UsageError(f"{url} has more than {LARGEST_BYTES >> 20} MiB: it is no runner", cure)
                yield block
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise UsageError(f"cannot download {url}: {str(reason) or type(reason).__name__}", cure) from error
    if declared is not None and received != declared:
        raise UsageError(f"cannot download {url}: it ended after {received} of {declared} bytes", cure)


def _declared(answer: Any) -> int | None:
    length = answer.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None
