"""The Python runner, as it is brought to a device that has Python."""

from __future__ import annotations

import tempfile
import zipfile
from functools import cache
from pathlib import Path

from edgeeff.errors import UsageError
from edgeeff.measuring.pair_records import PairRecordRunner
from edgeeff.protocols import Device

from ._python_check import require_runtime

SOURCE = Path(__file__).with_name("_runner")
"""The runner's package."""

_PACKAGE = "edgeeff_runner"
_MAIN = f"import sys\nfrom {_PACKAGE}.__main__ import main\nsys.exit(main())\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)


def python_runner(name: str, device: Device, file: Path | None) -> PairRecordRunner:
    """Pushes the runner and says how it is started.

    Raises:
        UsageError: a runner of the user's own was given, for which this one has no use.
        DeviceError: the device has no Python, its Python lacks the runtime, or it cannot take the file.
    """
    if file is not None:
        program = {"litert": "benchmark_model", "onnxruntime": "onnxruntime_perf_test"}.get(name, "NAME")
        raise UsageError(
            f"{name} has a runner of its own and takes no --runner {file}",
            f"leave --runner out, or say what the file is: --runtime {program}",
        )
    python = device.python()
    if device.info().kind != "host":
        require_runtime(device, python, name)
    return PairRecordRunner((*python, device.push(runner_file())))


def runner_file() -> Path:
    """The runner as one file that Python starts; it is there until this process ends."""
    folder, path = _built()
    assert Path(folder.name) == path.parent
    return path


@cache
def _built() -> tuple[tempfile.TemporaryDirectory[str], Path]:
    folder = tempfile.TemporaryDirectory(prefix="edgeeff-runner-")
    path = Path(folder.name) / "runner.pyz"
    write_runner(path)
    return folder, path


def write_runner(path: Path) -> None:
    """Packs the runner as a zipapp. Devices know files by their hash: the same sources give the same bytes.

    The modules are a package inside, so none of them can hide a module of the runtime's (onnxruntime, say).
    """
    sources = {f"{_PACKAGE}/{source.name}": source.read_bytes() for source in SOURCE.glob("*.py")}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted({"__main__.py": _MAIN.encode(), **sources}.items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, content)
