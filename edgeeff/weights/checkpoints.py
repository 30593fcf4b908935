"""Reads the tensors of a weights file that may be truncated, foreign or hostile.

No code of the file's runs, and what is allocated is bounded by the file's own size: sizes that a file only claims
are checked before they are believed. The kind is told by the content, not by the suffix.
"""

from __future__ import annotations

import io
import pickletools
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from edgeeff.errors import MissingExtraError, UsageError
from edgeeff.files import cannot_read
from edgeeff.wording import first_line

if TYPE_CHECKING:
    from torch import Tensor

MAX_FILE_BYTES = 8 * 2**30
MAX_HEADER_BYTES = 16 * 2**20
"""Of safetensors' header, or of the pickle in a checkpoint: B7's are below 200 KB."""

FOREIGN = (
    # offset, magic, what it is
    (0, b"version https://git-lfs", "a Git LFS pointer: fetch the file itself with `git lfs pull`"),
    (4, b"TFL3", "a TFLite model: bench it as it is"),
    (0, b"\x89HDF", "an HDF5 file, as Keras writes them"),
    (0, b"<", "a web page or XML: the download went wrong"),
    (0, b"\x1f\x8b", "a gzip archive: unpack it first"),
)
KNOWN_FORMS = "edgeeff reads .safetensors and torch checkpoints (.pth, .pt, .ckpt, .bin)"

# torch.load(weights_only=True) calls these two, and either makes memory out of nothing: bytearray(10**12).
AMPLIFYING = ("bytearray", "encode")

# Keys under which training scripts put the weights; the first that is there wins, as timm does it.
WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model", "net")
PREFIXES = ("module.", "model.", "_orig_mod.")


def read(path: Path) -> dict[str, Tensor]:
    """Name -> tensor of a file in safetensors' or torch's format, on the CPU, with common prefixes taken off.

    Tensors are views of the mapped file where the format permits, so nothing is copied yet.

    Raises:
        UsageError: the file cannot be read, is not a weights file, is damaged, or asks for more than weights.
        MissingExtraError: torch or safetensors is not installed.
    """
    try:
        import torch  # noqa: F401  # every kind needs it, so its absence is told before anything else
    except ModuleNotFoundError as error:
        raise MissingExtraError("torch", "torch", f"reading {path.name}") from error
    try:
        kind = _kind(path)
        tensors = kind(path)
    except (UsageError, MemoryError):
        raise
    except OSError as error:
        raise cannot_read(path, error) from error
    except Exception as error:  # whatever a parser raises at bytes that nobody foresaw
        raise _damaged(path, error) from error
    if not tensors:
        raise UsageError(f"{path} holds no tensors", KNOWN_FORMS)
    return _without_prefixes(tensors)


def _kind(path: Path) -> Callable[[Path], dict[str, Tensor]]:
    """Which reader the content asks for."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder", "name the weights file in it")
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is not a regular file", KNOWN_FORMS)
    size = path.stat().st_size
    if size == 0:
        raise UsageError(f"{path} is empty", "fetch it again")
    if size > MAX_FILE_BYTES:
        raise UsageError(f"{path} has {size / 1e9:.1f} GB, and weights of these networks have at most 0.3 GB")
    with path.open("rb") as file:
        head = file.read(64)
    # First, because the length before the brace may begin with any byte: another kind's magic, too.
    if head[8:9] == b"{":
        return _read_safetensors
    for offset, magic, what in FOREIGN:
        if head[offset:].startswith(magic):
            raise UsageError(f"{path} is not a weights file but {what}", KNOWN_FORMS)
    if head.startswith(b"PK\x03\x04"):
        return _read_zip
    if head.startswith(b"\x80"):
        return _read_legacy
    raise UsageError(f"{path} is not a weights file", KNOWN_FORMS)


def _damaged(path: Path, error: Exception) -> UsageError:
    reason = first_line(error).rstrip(".:")
    return UsageError(f"{path} is damaged or not a weights file: {reason[:200]}", f"fetch it again; {KNOWN_FORMS}")


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors import safe_open
    except ModuleNotFoundError as error:
        raise MissingExtraError("safetensors", "torch", f"reading {path.name}") from error
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
    if length > min(MAX_HEADER_BYTES, path.stat().st_size - 8):
        raise UsageError(f"{path} is damaged: its header claims {length} bytes", "fetch it again")
    with safe_open(str(path), framework="pt", device="cpu") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping


def _read_zip(path: Path) -> dict[str, Tensor]:
    """A checkpoint of torch 1.6 or later: an archive of one pickle and the stored tensors."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise UsageError(
                f"{path} is a compressed archive, not a torch checkpoint", "unpack it, and name the file in it"
            )
        # Entries may overlap, and so claim more together than the file has.
        if sum(entry.file_size for entry in entries) > path.stat().st_size:
            raise UsageError(f"{path} is damaged: its entries claim more bytes than it has", "fetch it again")
        pickles = [entry for entry in entries if entry.filename.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise UsageError(f"{path} is an archive, but not a torch checkpoint", KNOWN_FORMS)
        with archive.open(pickles[0]) as file:
            _scan(path, file, pickles=1)
    return _load(path, mmap=True)


def _read_legacy(path: Path) -> dict[str, Tensor]:
    """A checkpoint of torch before 1.6: pickles of magic number, protocol, system, objects and keys, then data."""
    with path.open("rb") as file:
        _scan(path, file, pickles=5)
    return _load(path, mmap=False)


def _scan(path: Path, file: IO[bytes], *, pickles: int) -> None:
    """Walks the pickles without running them, and refuses what would make memory out of nothing.

    torch's restricted unpickler knows one way to name a function, the opcode GLOBAL.
    """
    head = io.BytesIO(file.read(MAX_HEADER_BYTES))
    for _ in range(pickles):
        for opcode, argument, _ in pickletools.genops(head):
            name = str(argument).rpartition(" ")[2]
            if opcode.name == "GLOBAL" and name in AMPLIFYING:
                raise UsageError(f"{path} calls {name!r}, which no weights need, and was not loaded", _RESAVE)


_RESAVE = "save the weights alone: torch.save(model.state_dict(), 'weights.pth')"


def _load(path: Path, *, mmap: bool) -> dict[str, Tensor]:
    import pickle
    import warnings

    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickle protocols and old storages: nothing that a user could act on
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        if "GLOBAL" not in str(error) and "Unsupported" not in str(error):
            raise
        raise UsageError(
            f"{path} holds Python objects besides weights, which edgeeff does not run, and was not loaded", _RESAVE
        ) from error
    return _tensors(path, loaded)


def _tensors(path: Path, loaded: Any) -> dict[str, Tensor]:
    """The state dictionary in what a checkpoint holds."""
    import torch

    for _ in range(len(WRAPPERS)):
        inner = next(
            (loaded[k] for k in WRAPPERS if isinstance(loaded, dict) and isinstance(loaded.get(k), dict)), None
        )
        if inner is None:
            break
        loaded = inner
    if not isinstance(loaded, dict):
        raise UsageError(f"{path} holds a {type(loaded).__name__}, not a dictionary of tensors", _RESAVE)
    return {str(name): tensor.detach() for name, tensor in loaded.items() if isinstance(tensor, torch.Tensor)}


def _without_prefixes(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Takes off what DataParallel, Lightning and torch.compile put before every name."""
    found = dict(tensors)
    while prefix := next((p for p in PREFIXES if all(name.startswith(p) for name in found)), None):
        found = {name.removeprefix(prefix): tensor for name, tensor in found.items()}
    return found
