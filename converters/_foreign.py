"""Files that edgeeff did not make: what they seem to be, and the errors for those that cannot be read."""

from __future__ import annotations

import mmap
from pathlib import Path

from edgeeff.errors import UsageError
from edgeeff.files import cannot_read

_HEAD_BYTES = 512
_AGAIN = "download or convert it again"

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (4, b"TFL3", "a TFLite model"),
    (4, b"ORTM", "a model in onnxruntime's own .ort format"),
    (0, b"version https://git-lfs", "a Git LFS pointer"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes"),
    (0, b"\x93NUMPY", "a numpy array"),
    (0, b"GGUF", "a GGUF model"),
    (8, b'{"', "a safetensors file"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"\x7fELF", "a program or library"),
    (0, b"\x89PNG", "a PNG image"),
    (0, b"\xff\xd8\xff", "a JPEG image"),
    (0, b"%PDF", "a PDF document"),
)
_CURES = {
    "a Git LFS pointer": "fetch the file itself with `git lfs pull`",
    "a PyTorch checkpoint": "give it to a network: edgeeff convert --variant NAME --weights FILE",
    "a safetensors file": "give it to a network: edgeeff convert --variant NAME --weights FILE",
    "a TFLite model": "give it the suffix .tflite",
    "an ONNX model": "give it the suffix .onnx",
    "an HTML page": "the download gave a page in place of the file: download it again",
    "a gzip archive": "unpack it first",
    "a tar archive": "unpack it first",
    "a zip archive": "unpack it first",
}


def describe(path: Path) -> str:
    """What the file seems to be by its first bytes, for example "a Git LFS pointer"; "" where that is not known."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    for offset, magic, kind in _MAGIC:
        if head.startswith(magic, offset):
            # torch.save writes a zip archive whose first entry is NAME/data.pkl.
            return "a PyTorch checkpoint" if kind == "a zip archive" and b"/data.pkl" in head else kind
    # The pickle protocol's opcode and a version: what torch.save wrote until version 1.6.
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "a PyTorch checkpoint"
    # An ir_version (field 1) that exists, then a field of ModelProto with a length.
    if head[:1] == b"\x08" and b"\0" < head[1:2] < b"\x20" and head[2:3] in (b"\x12", b"\x1a", b"\x3a", b"\x42"):
        return "an ONNX model"
    return _describe_text(head)


def _describe_text(head: bytes) -> str:
    if head and not head.strip(b"\0"):
        return "nothing but zeros, an unfinished download"
    start = head.lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "an HTML page"
    if start.startswith(b"<"):
        return "an XML file"
    return "a text file" if head and all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head) else ""


def not_a(path: Path, kind: str, reason: str) -> UsageError:
    """The error for a file that is not what it should be, or is damaged.

    Args:
        kind: what it should be, as `describe` calls it.
        reason: what is wrong with a file that does not seem to be something else.
    """
    seems = describe(path)
    if seems and seems != kind:
        return UsageError(f"{path} is not {kind}: it seems to be {seems}", _CURES.get(seems, _AGAIN))
    return UsageError(f"{path} cannot be read as {kind}: {reason}", _AGAIN)


def map_file(path: Path) -> mmap.mmap:
    """The file's bytes; only the pages that are looked at are read.

    Raises:
        UsageError: it is missing, empty, not a regular file, or may not be read.
    """
    # Opening a named pipe would wait for a writer.
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is not a file", "name a model file")
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise cannot_read(path, error) from error
    except ValueError as error:
        raise UsageError(f"{path} is empty", _AGAIN) from error
