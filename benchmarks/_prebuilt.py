"""Prebuilt runners: which file for which device, downloaded once and only with a hash that is known beforehand."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeeff.catalog import user_folder
from edgeeff.downloads import pinned, program, programs_folder
from edgeeff.errors import DeviceError, UsageError
from edgeeff.files import read_bytes

PINS = Path(__file__).with_name("runners.toml")

PLATFORMS = {"android": {"arm64-v8a": "android_arm64"}, "linux": {"aarch64": "linux_arm64", "x86_64": "linux_x86_64"}}
"""Kind of device -> its ABI -> the platform in the address."""

MACHINES = {3: "x86", 40: "armeabi-v7a", 62: "x86_64", 183: "arm64-v8a", 243: "riscv64"}
"""e_machine of an ELF header -> the ABI as Android calls it."""

SAME_ABI = {"aarch64": "arm64-v8a", "armv7l": "armeabi-v7a", "i686": "x86"}
"""How Linux calls them -> how Android does."""


@dataclass(frozen=True, slots=True)
class Prebuilt:
    """A file to be downloaded; sha256 is None where nobody has seen it."""

    name: str
    version: str
    platform: str
    url: str
    sha256: str | None

    @property
    def cached(self) -> Path:
        return programs_folder() / f"{self.name}-{self.version}-{self.platform}"


def prebuilt(name: str, kind: str, abi: str | None) -> Prebuilt | None:
    """The file for a kind of device and its ABI; None where there is none."""
    platform = PLATFORMS.get("android" if kind == "android" else "linux", {}).get(abi or "")
    if platform is None:
        return None
    pins = _pins().get(name, {})
    version = str(pins.get("version", ""))
    hashes = pins.get("sha256", {})
    return Prebuilt(
        name, version, platform, str(pins["url"]).format(version=version, platform=platform), hashes.get(platform)
    )


def _pins() -> dict[str, dict[str, Any]]:
    """Ours, with the user's on top, table by table."""
    found = _parsed(PINS)
    own = user_folder().parent / "runners.toml"
    for name, table in (_parsed(own) if own.exists() else {}).items():
        mine = found.setdefault(name, {})
        hashes = {**mine.get("sha256", {}), **table.get("sha256", {})}
        if table.get("version", mine.get("version")) != mine.get("version"):
            hashes = table.get("sha256", {})  # ours are of another version
        mine.update({**table, "sha256": hashes})
    return found


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_bytes(path).decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}", f"see {PINS} for what it may say") from error


def fetched(wanted: Prebuilt) -> Path:
    """The file on this machine, downloaded where it is not there yet.

    Raises:
        UsageError: its hash is not known, it cannot be downloaded, or what came is something else.
    """
    cure = f"download it elsewhere, and give it with --runner FILE: {wanted.url}"
    if wanted.sha256 is None:
        raise UsageError(
            f"{wanted.name} {wanted.version} for {wanted.platform} is not downloaded: its SHA-256 is not known here",
            f"{cure}; or say the hash of a file that you trust: --runner {wanted.url}#sha256=..., or once for all in "
            f"{user_folder().parent / 'runners.toml'}",
        )
    return program(pinned(f"{wanted.url}#sha256={wanted.sha256}"), wanted.cached, cure)


def check_abi(path: Path, abi: str | None, device: str) -> None:
    """Refuses a program that cannot run on a device of this ABI before it is brought there.

    Raises:
        UsageError: it is no program.
        DeviceError: it is one for another processor.
    """
    head = read_bytes(path)[:20]
    if head.startswith(b"#!"):
        return
    if head[:4] != b"\x7fELF" or len(head) < 20:
        raise UsageError(
            f"{path} is not a program for Android or Linux", "give the runner itself, not an archive of it"
        )
    machine = int.from_bytes(head[18:20], "little")
    made_for = MACHINES.get(machine, f"the processor {machine}")
    wanted = SAME_ABI.get(abi or "", abi)
    if wanted is not None and made_for != wanted:
        raise DeviceError(f"{path} is for {made_for}, and {device} is {abi}", f"take one that was built for {abi}")


def mentions(path: Path, word: bytes) -> bool:
    """Whether a program holds a word: a guess at which one it is, for choosing among runners only."""
    return word in read_bytes(path)
