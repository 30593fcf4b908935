"""Whether a device's Python has a runtime that works, and what cures it where it has not."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from edgeeff.errors import DeviceError, MeasurementError
from edgeeff.protocols import Device

MODULES = {
    "litert": ("ai_edge_litert.interpreter", "tflite_runtime.interpreter"),
    "onnxruntime": ("onnxruntime",),
}
"""Runtime -> the modules that give it, the better one first."""

GLIBC = {("ai_edge_litert", "aarch64"): (2, 34), ("onnxruntime", "aarch64"): (2, 28)}
"""The least glibc that a package's newest wheel runs with. ai-edge-litert 2.3's is tagged 2.27 and needs 2.34."""

VENV = "~/.cache/edgeeff/venv"
"""Where devices/ssh.py looks for a Python first."""

TIMEOUT_S = 120.0

_PROBE = """
import importlib, json, platform, sys
from importlib import metadata

def version(name):
    try:
        return metadata.version(name)
    except Exception:
        return None

found = {"python": platform.python_version(), "program": sys.executable, "machine": platform.machine(),
         "libc": platform.libc_ver()[1], "numpy": version("numpy"), "errors": {}, "works": None}
for name in sys.argv[1:]:
    package = name.partition(".")[0]
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name in (package, name)
        found["errors"][package] = None if missing else str(error)
    except BaseException as error:
        found["errors"][package] = type(error).__name__ + ": " + str(error)
    else:
        found["works"] = package
        break
print(json.dumps(found))
"""


def require_runtime(device: Device, python: Sequence[str], runtime: str) -> None:
    """Tries a runtime in a device's Python.

    Raises:
        DeviceError: it is not installed, or does not work there; the hint is what cures it.
    """
    found = _probed(device, python, MODULES[runtime])
    if found is None:
        return  # the runner itself will say what is wrong
    where = f"{found.get('program') or python[0]} on {device.name}"
    numpy = str(found.get("numpy") or "")
    if found.get("works") == "tflite_runtime" and _numbers(numpy)[:1] >= (2,):
        raise DeviceError(
            f"tflite_runtime in {where} was built for numpy 1 and meets numpy {numpy}",
            f"there: {found.get('program')} -m pip install 'numpy<2'",
        )
    if found.get("works"):
        return
    for package, error in found.get("errors", {}).items():
        if error is not None:
            raise _broken(package, str(error), found, where)
    raise DeviceError(f"there is no {' or '.join(found['errors'])} in {where}", _install(runtime, found))


def _probed(device: Device, python: Sequence[str], modules: Sequence[str]) -> Mapping[str, Any] | None:
    answer: Any = None
    with contextlib.suppress(MeasurementError):
        for line in device.run([*python, "-c", _PROBE, *modules], timeout_s=TIMEOUT_S):
            with contextlib.suppress(ValueError):
                answer = json.loads(line)
    return answer if isinstance(answer, dict) and isinstance(answer.get("errors"), dict) else None


def _broken(package: str, error: str, found: Mapping[str, Any], where: str) -> DeviceError:
    """For a package that is installed and cannot be imported."""
    needed = re.search(r"GLIBC_(\d+\.\d+)' not found", error)
    if needed:
        return DeviceError(
            f"{package} in {where} needs glibc {needed[1]}, and the system has {found.get('libc') or 'an older one'}",
            f"a newer system has it (glibc 2.34: Debian 12, Ubuntu 22.04); {_older(package, found)}",
        )
    return DeviceError(
        f"{package} in {where} cannot be imported: {' '.join(error.split())[:300]}",
        f"install it anew there: {found.get('program')} -m pip install --force-reinstall {package.replace('_', '-')}",
    )


def _older(package: str, found: Mapping[str, Any]) -> str:
    if package == "ai_edge_litert":
        return f"or take the older runtime: {found.get('program')} -m pip install tflite-runtime 'numpy<2'"
    return f"or an older version: {found.get('program')} -m pip install '{package}<1.17' 'numpy<2'"


def _install(runtime: str, found: Mapping[str, Any]) -> str:
    """The command that installs a runtime which the board can run."""
    libc, machine = _numbers(str(found.get("libc") or "")), str(found.get("machine"))
    packages = "onnxruntime" if runtime == "onnxruntime" else "ai-edge-litert"
    least = GLIBC.get((packages.replace("-", "_"), machine), (0,))
    if runtime == "litert" and (libc < least or machine.startswith("armv")):
        packages = "tflite-runtime 'numpy<2'"
    return f"there: python3 -m venv {VENV} && {VENV}/bin/pip install {packages} (edgeeff looks there first)"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
