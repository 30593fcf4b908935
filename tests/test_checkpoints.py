"""Weights files that are truncated, foreign or hostile: one clear error, no code run, bounded memory."""

from __future__ import annotations

import io
import os
import pickle
import resource
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from edgeeff.errors import UsageError
from edgeeff.weights.checkpoints import read

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2, dtype=torch.float16)}


@cache
def stored(kind: str) -> bytes:
    """A small, sound file of each kind."""
    if kind == "safetensors":
        return save(STATE)
    buffer = io.BytesIO()
    torch.save(STATE, buffer, _use_new_zipfile_serialization=kind == "zip")
    return buffer.getvalue()


KINDS = ("safetensors", "zip", "legacy")


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


def checkpoint(content: Any, *, new: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=new)
    return buffer.getvalue()


def archive(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["w.pth", "w.bin", "w"])
def test_a_sound_file_is_read_whatever_it_is_called(tmp_path: Path, kind: str, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(stored(kind))
    found = read(path)
    assert found.keys() == STATE.keys()
    assert all(torch.equal(found[name], STATE[name]) for name in STATE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keep", [0.01, 0.1, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_told(tmp_path: Path, kind: str, keep: float) -> None:
    path = tmp_path / "w"
    path.write_bytes(stored(kind)[: int(len(stored(kind)) * keep)])
    with pytest.raises(UsageError):
        read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
        (b"\x1c\0\0\0TFL3" + bytes(64), "a TFLite model"),
        (b"\x89HDF\r\n\x1a\n" + bytes(64), "HDF5"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"\x1f\x8b\x08" + bytes(64), "gzip"),
        (b"\x08\x07\x12\x07pytorch:" + bytes(64), "not a weights file"),
        (b"hello, world", "not a weights file"),
        (archive({"a.txt": b"hello"}), "an archive, but not a torch checkpoint"),
        (archive({"a/data.pkl": bytes(10**6)}, zipfile.ZIP_DEFLATED), "a compressed archive"),
        (checkpoint([1, 2]), "holds a list, not a dictionary"),
        (checkpoint({"epoch": 3}), "holds no tensors"),
        (checkpoint(torch.nn.Linear(2, 2)), "Python objects besides weights"),
        (struct.pack("<Q", 2**60) + b"{}", "its header claims"),
        (struct.pack("<Q", 2) + b"{}", "holds no tensors"),
        (struct.pack("<Q", 64) + b'{"a":{"dtype":"F32","shape":[99999999999],"data_offsets":[0,4]}}', "damaged"),
    ],
)
def test_what_is_no_weights_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        read(path)
    assert caught.value.hint
    assert len(caught.value.message.splitlines()) == 1


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for ever
    for path, message in ((tmp_path, "is a folder"), (tmp_path / "pipe", "not a regular file")):
        with pytest.raises(UsageError, match=message):
            read(path)
    with pytest.raises(UsageError, match="no such file"):
        read(tmp_path / "absent.pth")


@pytest.mark.parametrize("new", [True, False])
def test_no_code_of_the_file_runs(tmp_path: Path, new: bool) -> None:
    path, victim = tmp_path / "w.pth", tmp_path / "victim"
    path.write_bytes(checkpoint({"a.weight": Call(os.mkdir, str(victim))}, new=new))
    with pytest.raises(UsageError, match="Python objects besides weights"):
        read(path)
    assert not victim.exists()


@pytest.mark.parametrize(
    "bomb",
    [
        checkpoint({"a": Call(bytearray, 10**11)}),
        checkpoint({"a": Call(bytearray, 10**11)}, new=False),
        # A tensor of 10^12 elements that all are the same four bytes: harmless until it is copied.
        checkpoint({"a": torch.zeros(1).expand(10**12)}),
        struct.pack("<Q", 2**31) + b"{" * 100,
        archive({"a/data.pkl": bytes(2**27), "a/version": b"3"}, zipfile.ZIP_DEFLATED),
        pickle.dumps(bytes(100))[:-1] + b"\x8a\xff" * 50,
    ],
    ids=["bytearray", "bytearray-legacy", "expanded", "header", "zip", "long"],
)
def test_a_bomb_takes_no_memory(tmp_path: Path, bomb: bytes) -> None:
    """In a process of its own, which may not grow by more than the tensors' own libraries need."""
    path = tmp_path / "w.pth"
    path.write_bytes(bomb)
    code = (
        "import sys, resource, torch, safetensors; from pathlib import Path\n"
        "from edgeeff.errors import UsageError\n"
        "from edgeeff import registry; from edgeeff.weights.sources import load\n"
        "f = registry.families()['efficientnet']\n"
        "used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = used()\n"
        "try: load(f.variants['b0'], f, sys.argv[1], classes=None, padding=None)\n"
        "except UsageError as e: print(used() - before)"
    )
    run = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=900)
    assert run.stderr == ""
    assert int(run.stdout) < 100 * 1024  # KB


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(KINDS), data=st.data())
def test_damaged_bytes_give_an_error_or_tensors(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    content = bytearray(stored(kind))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    path = tmp_path / "w"
    path.write_bytes(content[:cut] if data.draw(st.booleans()) else content)
    try:
        found = read(path)
    except UsageError as error:
        assert str(path) in error.message
    else:
        assert all(isinstance(tensor, torch.Tensor) for tensor in found.values())


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(lambda b: b"\x80\x02" + b)))
def test_any_bytes_give_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "w"
    path.write_bytes(content)
    with pytest.raises(UsageError):
        read(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 4 * 2**20
