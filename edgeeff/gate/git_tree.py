"""The artifacts in the tree of a commit, read with git itself."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from edgeeff.errors import RefusedError, UsageError

_LFS = b"version https://git-lfs.github.com/spec/"
_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class GitTree:
    """The tree of one commit.

    Args:
        name: the ref, as the user gave it.
        root: the repository's working folder.
    """

    name: str
    commit: str
    root: Path

    @classmethod
    def of(cls, ref: str, *, required: bool) -> GitTree | None:
        """The tree of a ref of the repository around the current folder; None where there is none.

        Raises:
            UsageError: there is none, and it is required.
        """
        if shutil.which("git") is None:
            if required:
                raise UsageError(f"git is not installed, and --against git:{ref} needs it", "apt install git")
            return None
        # --end-of-options, so that a ref that begins with a dash is no option.
        commit = _git(Path(), "rev-parse", "--verify", "--quiet", "--end-of-options", ref + "^{commit}")
        root = _git(Path(), "rev-parse", "--show-toplevel")
        if commit is None or root is None:
            if required:
                if root is None:
                    raise UsageError("this folder is in no git repository", "run edgeeff check inside the clone")
                cure = "in CI, fetch it first: git fetch origin main (actions/checkout: fetch-depth: 0)"
                raise UsageError(f"git knows no commit {ref!r} here", cure)
            return None
        return cls(ref, commit.decode().strip(), Path(root.decode().strip()))

    def path_of(self, file: Path) -> Path | None:
        """The file's path in the repository; None where it is outside."""
        try:
            return file.resolve().relative_to(self.root.resolve())
        except ValueError:
            return None

    def files(self) -> list[str]:
        """The paths of all files of the tree."""
        listed = _git(self.root, "ls-tree", "-r", "-z", "--name-only", self.commit) or b""
        return [name.decode(errors="surrogateescape") for name in listed.split(b"\0") if name]

    def write(self, name: str, folder: Path) -> Path:
        """Writes a file of the tree below a folder and returns its path there.

        Raises:
            RefusedError: it is a pointer of Git LFS whose content is not here.
        """
        target = folder / name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self.read(name))
        return target

    def read(self, name: str) -> bytes:
        content = _git(self.root, "cat-file", "blob", f"{self.commit}:{name}")
        if content is None:
            raise UsageError(f"git cannot read {name} of {self.name}", "git fetch it, or name a file")
        if content.startswith(_LFS):
            content = _git(self.root, "lfs", "smudge", stdin=content)
            if content is None or content.startswith(_LFS):
                raise RefusedError(
                    f"{name} of {self.name} is a pointer of Git LFS, and its content is not here",
                    f"git lfs fetch origin {self.name}",
                )
        return content


def _git(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes | None:
    """What a git command writes; None where it fails."""
    argv = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if done.returncode == 0 else None
