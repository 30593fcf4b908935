"""The Python and the runtimes of a board, which are its own: here made up beside a real interpreter."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeeff import registry
from edgeeff.errors import DeviceError
from edgeeff.protocols import Device
from edgeeff.targets import resolve


def open_board(**profile: Any) -> Device:
    (target,) = resolve("ssh://board")
    target = replace(target, profile=replace(target.profile, **profile))
    return registry.transport("ssh").open(target)


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script)
    path.chmod(0o755)
    return path


def python_with(folder: Path, **packages: str) -> Path:
    """An interpreter that sees these packages and no others: name -> the source of its __init__."""
    site = folder / "site"
    for name, source in packages.items():
        (site / name).mkdir(parents=True)
        (site / name / "__init__.py").write_text(source)
        (site / name / "interpreter.py").write_text("")
    # -S: without its own site-packages.
    code = f"#!/bin/sh\nPYTHONPATH='{site}' exec '{sys.base_prefix}/bin/python3' -S \"$@\"\n"
    return program(folder / "bin" / "python3", code)


def numpy(folder: Path, version: str) -> None:
    info = folder / "site" / f"numpy-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Name: numpy\nVersion: {version}\n")


def install(runtime: str, python: Path) -> None:
    with open_board(python=str(python)) as board:
        registry.runner(runtime).install(board, None)


GLIBC = (
    "raise ImportError(\"/lib/aarch64-linux-gnu/libc.so.6: version `GLIBC_2.34' not found (required by "
    '/home/pi/venv/lib/python3.9/site-packages/ai_edge_litert/libpywrap_litert_common.so)")'
)


def test_a_board_without_python_is_told_how_to_get_one(start: Callable[..., Any], tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "uname", "id", "tr", "sha256sum", "nproc"):
        (tools / name).symlink_to(f"/usr/bin/{name}")
    start(lines=[f"SetEnv PATH={tools}"])
    with open_board() as board, pytest.raises(DeviceError, match="there is no Python on ssh://board") as caught:
        board.python()
    assert "install one there" in caught.value.hint


def test_a_python_that_is_too_old(server: Any, tmp_path: Path) -> None:
    old = program(tmp_path / "python3", '#!/bin/sh\necho \'{"version": [3, 6, 9], "runtimes": []}\'\n')
    with open_board(python=str(old)) as board, pytest.raises(DeviceError, match=r"is 3\.6\.9; the runner needs 3\.8"):
        board.python()


def test_the_python_of_the_device_file_is_taken(server: Any, tmp_path: Path) -> None:
    chosen = python_with(tmp_path)
    with open_board(python=str(chosen)) as board:
        assert board.python() == (str(chosen),)


def test_a_python_that_has_a_runtime_goes_before_one_that_has_none(server: Any, tmp_path: Path) -> None:
    with open_board() as board:
        plain = board.python()
    venv = server.remote / ".cache" / "edgeeff" / "venv"
    made = python_with(tmp_path, onnxruntime="__version__ = '1'")
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(made)
    with open_board() as board:
        assert board.python() == (str(venv / "bin" / "python"),) != plain


@pytest.mark.parametrize(("runtime", "package"), [("litert", "ai-edge-litert"), ("onnxruntime", "onnxruntime")])
def test_a_python_without_the_runtime_is_told_how_to_get_it(
    server: Any, tmp_path: Path, runtime: str, package: str
) -> None:
    with pytest.raises(DeviceError, match=r"there is no .* in .* on ssh://board") as caught:
        install(runtime, python_with(tmp_path))
    assert f"-m venv ~/.cache/edgeeff/venv && ~/.cache/edgeeff/venv/bin/pip install {package}" in caught.value.hint


def test_a_glibc_that_is_too_old(server: Any, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"ai_edge_litert in .* needs glibc 2\.34, and the system has") as caught:
        install("litert", python_with(tmp_path, ai_edge_litert=GLIBC))
    assert "Debian 12" in caught.value.hint and "pip install tflite-runtime 'numpy<2'" in caught.value.hint


def test_numpy_2_does_not_serve_tflite_runtime(server: Any, tmp_path: Path) -> None:
    numpy(tmp_path, "2.1.0")
    with pytest.raises(DeviceError, match=r"was built for numpy 1 and meets numpy 2\.1\.0") as caught:
        install("litert", python_with(tmp_path, tflite_runtime=""))
    assert "pip install 'numpy<2'" in caught.value.hint


def test_numpy_1_serves_tflite_runtime(server: Any, tmp_path: Path) -> None:
    numpy(tmp_path, "1.26.4")
    install("litert", python_with(tmp_path, tflite_runtime=""))


def test_a_runtime_that_breaks_in_another_way(server: Any, tmp_path: Path) -> None:
    broken = python_with(tmp_path, onnxruntime="raise ImportError('libgomp.so.1: cannot open shared object file')")
    with pytest.raises(DeviceError, match=r"cannot be imported: ImportError: libgomp\.so\.1") as caught:
        install("onnxruntime", broken)
    assert "--force-reinstall onnxruntime" in caught.value.hint


def test_the_older_runtime_is_taken_where_the_newer_does_not_work(server: Any, tmp_path: Path) -> None:
    numpy(tmp_path, "1.26.4")
    install("litert", python_with(tmp_path, ai_edge_litert=GLIBC, tflite_runtime=""))
