"""Files that appear whole or not at all, and their hashes."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgeeff.errors import EdgeeffError, UsageError

MAX_READ_BYTES = 2**30
"""Of a file that is read whole. A session of a day has results of some 10 MB."""


def read_bytes(path: Path) -> bytes:
    """The content of a file of a bounded size.

    Raises:
        UsageError: it cannot be read, is larger than MAX_READ_BYTES, or is no regular file: a pipe may block for
            ever, and a device may have no end.
    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{path} is not a regular file", "save its content to a file first")
        if status.st_size > MAX_READ_BYTES:
            raise UsageError(f"{path} has {status.st_size / 2**30:.1f} GiB; at most 1 GiB is read")
        return path.read_bytes()
    except OSError as error:
        raise cannot_read(path, error) from error


@contextmanager
def replacing(path: Path, elsewhere: str = "choose another folder with --out") -> Iterator[Path]:
    """A temporary path in the folder of `path`, which takes the place of `path` when the block ends well.

    When the block raises, or the process is interrupted in it, what stood at `path` before is untouched and the
    temporary file is removed. The temporary name keeps the suffix, by which runtimes tell formats.

    Args:
        elsewhere: how the user chooses another folder, where this one cannot be written.

    Raises:
        UsageError: the folder cannot be made or written (read-only, full, not a folder), or `path` is something else
            than a file (a folder, a device).
    """
    # Named before it is made: Ctrl-C may come while it is being opened. "." and "/" have no name that could be another.
    temporary = path.parent / f".{path.stem}-{secrets.token_hex(4)}.tmp{path.suffix}"
    try:
        if path.exists() and not path.is_file():
            # The superuser could put a file in the place of /dev/null.
            raise UsageError(f"cannot write {path}: it is not a regular file", "name another with --out")
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise cannot_write(path, error, elsewhere) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def cannot_write(path: Path, error: OSError, elsewhere: str = "choose another folder with --out") -> EdgeeffError:
    """The error for a file that could not be written, with the cure for its cause."""
    cures = {
        errno.ENOSPC: f"free some space, or {elsewhere}",
        errno.EDQUOT: f"free some of your quota, or {elsewhere}",
        errno.EROFS: f"the file system is read-only: {elsewhere}",
        errno.EACCES: f"you may not write there: {elsewhere}",
        errno.EPERM: f"you may not write there: {elsewhere}",
        errno.ENOTDIR: f"a part of that path is a file: {elsewhere}",
        errno.EEXIST: f"a file of that name is in the way: {elsewhere}",
    }
    reason = (error.strerror or str(error)).lower()
    return UsageError(f"cannot write {path}: {reason}", cures.get(error.errno or 0, elsewhere))


def cannot_read(path: Path, error: OSError) -> EdgeeffError:
    """The error for an input file that could not be opened or read."""
    reason = (error.strerror or str(error)).lower()
    return UsageError(f"cannot read {path}: {reason}", "check the path and its permissions")


def own_folder(variable: str, usual: str) -> Path:
    """Where edgeeff's own files are by the XDG base directory specification.

    Args:
        variable: "XDG_CACHE_HOME", say; what is in it counts where it is an absolute path.
        usual: below the user's home.
    """
    base = Path(os.environ.get(variable, ""))
    return (base if base.is_absolute() else Path.home() / usual) / "edgeeff"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise cannot_read(path, error) from error
