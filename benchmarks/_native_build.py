"""The native runner's two files: the program, built where it is needed, and LiteRT's library, which it opens."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from edgeeff.downloads import programs_folder
from edgeeff.errors import UsageError
from edgeeff.files import read_bytes, replacing

from ._prebuilt import SAME_ABI, mentions

SOURCE = Path(__file__).parent / "native" / "litert_runner.c"
MARK = b"edgeeff-native-runner"
LIBRARY_VARIABLE = "EDGEEFF_LITERT_LIBRARY"
NDK_VARIABLES = ("ANDROID_NDK_HOME", "ANDROID_NDK_ROOT")

TRIPLES = {"arm64-v8a": "aarch64", "x86_64": "x86_64"}
"""ABI -> the processor's part in the name of the NDK's compiler."""

API_LEVEL = 26
"""Android 8: LiteRT's own minimum for its prebuilt libraries is 26 or lower, and the runner needs nothing newer."""

BUILD_S = 120


def is_native_runner(path: Path) -> bool:
    """Whether a file is, by the mark in it, a build of SOURCE."""
    return mentions(path, MARK)


def compiler(kind: str, abi: str | None) -> Path | None:
    """What builds for a device; None where there is nothing."""
    if kind == "android":
        return _ndk_compiler(abi)
    if kind == "host" or SAME_ABI.get(abi or "", abi) == SAME_ABI.get(platform.machine(), platform.machine()):
        found = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
        return Path(found) if found else None
    return None


def _ndk_compiler(abi: str | None) -> Path | None:
    """The NDK's clang for an ABI, at the API level that is wanted or else the lowest above it."""
    for variable in NDK_VARIABLES:
        root = os.environ.get(variable)
        if not root:
            continue
        pattern = f"toolchains/llvm/prebuilt/*/bin/{TRIPLES.get(abi or 'arm64-v8a', '?')}-linux-android*-clang"
        levels = {int(m[1]): p for p in Path(root).glob(pattern) if (m := re.search(r"android(\d+)-clang$", p.name))}
        usable = sorted(level for level in levels if level >= API_LEVEL)
        if usable:
            return levels[usable[0]]
    return None


def library(kind: str) -> Path | None:
    """LiteRT's library for a device: the user's, or on this machine that of ai_edge_litert."""
    chosen = os.environ.get(LIBRARY_VARIABLE)
    if chosen:
        return Path(chosen)
    if kind != "host":
        return None
    spec = importlib.util.find_spec("ai_edge_litert")
    folders = spec.submodule_search_locations if spec is not None else None
    found = [Path(folder) / "libLiteRt.so" for folder in folders or ()]
    return next((path for path in found if path.exists()), None)


def built(kind: str, abi: str | None) -> Path:
    """The program, from the cache or built anew for another source or compiler.

    Raises:
        UsageError: there is no compiler for the device, or it fails.
    """
    with_compiler = compiler(kind, abi)
    if with_compiler is None:
        cure = "install an NDK and set ANDROID_NDK_HOME" if kind == "android" else "install gcc or clang"
        raise UsageError(f"nothing here builds the native runner for {abi or kind}", f"{cure}, or give --runner FILE")
    identity = hashlib.sha256(read_bytes(SOURCE) + str(with_compiler).encode()).hexdigest()[:16]
    path = programs_folder() / f"litert_native-{abi or 'host'}-{identity}"
    if path.exists():
        return path
    with replacing(path) as temporary:
        argv = [str(with_compiler), "-O2", "-o", str(temporary), str(SOURCE), "-ldl"]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=BUILD_S, errors="replace", check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UsageError(f"{with_compiler} cannot build the native runner: {error}", "take another NDK") from error
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or ["no message"]
            first = next((line for line in lines if "error" in line), lines[-1])
            raise UsageError(f"{with_compiler} cannot build the native runner: {first}", "take another compiler or NDK")
    path.chmod(0o755)
    return path
