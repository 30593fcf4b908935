"""Fetches what the tests of devices need, from Debian and PyPI, into one folder; installs nothing on this machine.

    python prepare.py FOLDER

    qemu/     qemu's user emulation, of Debian 13: that of Debian 12 (7.2) crashes in LiteRT
    board/    an arm64 Debian 12: shell, tools, Python, a small C compiler (tcc), and the aarch64 wheels of LiteRT,
              onnxruntime and numpy
    phone/    Debian 13's adbd and what it needs, over Android's own shell and tools for arm64, as Debian packages them:
              mksh and toybox, and the C++ library that LiteRT's build for Linux takes. What Android's services would
              answer (getprop, dumpsys, settings) is made up

Each part has a stamp, so a second run fetches nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
MIRROR = "http://deb.debian.org/debian"
WHEELS = ("ai-edge-litert", "flatbuffers", "numpy", "onnxruntime")
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")
PYTHON_ON_BOARD = "3.11"


@dataclass(frozen=True)
class Part:
    """Packages of one Debian release for one architecture, unpacked into one folder.

    Args:
        alone: without what they depend on.
    """

    name: str
    suite: str
    architecture: str
    packages: Sequence[str]
    alone: bool = False


PARTS = (
    Part("qemu", "trixie", "amd64", ("qemu-user",), alone=True),
    Part(
        "board",
        "bookworm",
        "arm64",
        (
            "bash",
            "dash",
            "coreutils",
            "python3-minimal",
            "libpython3.11-stdlib",
            "libstdc++6",
            "libgcc-s1",
            "tcc",
            "libc6-dev",
        ),
    ),
    Part("phone", "trixie", "amd64", ("adbd",)),
    Part("android", "trixie", "arm64", ("mksh", "toybox", "libstdc++6")),
)

TOOLS = """
basename cat chmod cmp cp cut date dd df dirname du echo env expr false find grep head id kill killall ln ls mkdir mv
nproc od ps pwd readlink realpath rm rmdir sed seq sha256sum sleep sort stat sync tail taskset tee timeout touch tr true
truncate uname uniq uptime wc which xargs
"""
"""Of toybox, as in Android's /system/bin."""

ANSWERS = {
    "getprop": "cat /system/etc/properties",
    "dumpsys": 'cat "/system/etc/dumpsys.$1"',
    "settings": "echo 0",
}
MADE_UP = {
    "properties": """[ro.product.manufacturer]: [edgeeff tests]
[ro.product.model]: [made-up phone]
[ro.product.cpu.abi]: [arm64-v8a]
[ro.build.version.release]: [15]
[ro.build.id]: [TEST]
""",
    "dumpsys.battery": "Current Battery Service state:\n  USB powered: true\n  status: 2\n  level: 80\n  scale: 100\n"
    "  temperature: 251\n",
    "dumpsys.thermalservice": "IsStatusOverride: false\nThermal Status: 0\n",
    "dumpsys.power": "  mWakefulness=Awake\n",
}


def run(argv: Sequence[str], folder: Path | None = None, **environment: str) -> None:
    done = subprocess.run(
        argv, env={**os.environ, **environment}, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(argv[:4])} ... failed:\n{done.stdout[-1500:]}{done.stderr[-1500:]}")


def fetch(part: Part, folder: Path) -> None:
    """By apt itself, with lists and a state of its own, so that signatures are checked and dependencies found."""
    work = folder / "apt" / f"{part.suite}-{part.architecture}"
    archives = folder / "apt" / "archives" / part.name
    for path in (work / "lists" / "partial", work / "parts", archives / "partial"):
        path.mkdir(parents=True, exist_ok=True)
    (work / "status").touch()
    (work / "sources.list").write_text(
        f"deb [arch={part.architecture} signed-by={KEYRING}] {MIRROR} {part.suite} main\n"
    )
    settings = {
        "Dir::State": work,
        "Dir::State::lists": work / "lists",
        "Dir::State::status": work / "status",
        "Dir::Cache": work,
        "Dir::Cache::archives": archives,
        "Dir::Etc::sourcelist": work / "sources.list",
        "Dir::Etc::sourceparts": work / "parts",
        "Dir::Etc::preferencesparts": work / "parts",
        "APT::Architecture": part.architecture,
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Debug::NoLocking": "true",
    }
    lines = [f'{key} "{value}";' for key, value in settings.items()]
    lines.append(f'#clear APT::Architectures;\nAPT::Architectures {{ "{part.architecture}"; }};')
    configuration = work / f"{part.name}.conf"
    configuration.write_text("\n".join(lines) + "\n")
    environment = {"APT_CONFIG": str(configuration)}
    run(["apt-get", "-q", "update"], **environment)
    if part.alone:
        run(["apt-get", "-q", "download", *part.packages], archives, **environment)
    else:
        run(["apt-get", "-q", "install", "-y", "--download-only", *part.packages], **environment)
    target = folder / part.name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for package in sorted(archives.glob("*.deb")):
        run(["dpkg-deb", "-x", str(package), str(target)])
    shutil.rmtree(archives)


def add_wheels(board: Path) -> None:
    """The versions that constraints.txt pins; the board's Python sees them by the wrapper /opt/python."""
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
    wanted = [f"{name}=={pins[name]}" for name in WHEELS]
    platforms = [f"--platform={name}" for name in PLATFORMS]
    options = [f"--python-version={PYTHON_ON_BOARD}", "--implementation=cp", "--only-binary=:all:", "--no-deps"]
    target = f"--target={board / 'opt' / 'runtimes'}"
    run([sys.executable, "-m", "pip", "install", "--quiet", target, *platforms, *options, *wanted])
    wrapper = board / "opt" / "python"
    wrapper.write_text('#!/bin/sh\nPYTHONPATH=/opt/runtimes exec /usr/bin/python3 "$@"\n')
    wrapper.chmod(0o755)


def add_userland(phone: Path, android: Path) -> None:
    """Makes one tree of adbd's and Android's: arm64 programs where a phone has them."""
    run(["cp", "-a", f"{android}/.", str(phone)])
    for name in ("bin", "lib", "lib64", "sbin"):
        if not (phone / name).exists():
            (phone / name).symlink_to(f"usr/{name}")
    for name in ("proc", "sys", "dev", "data/local/tmp", "system/bin", "system/etc"):
        (phone / name).mkdir(parents=True, exist_ok=True)
    tools = phone / "system" / "bin"
    (tools / "sh").symlink_to("/usr/bin/mksh")
    (phone / "usr" / "bin" / "sh").symlink_to("mksh")  # where Debian's adbd looks for a shell
    for name in TOOLS.split():
        (tools / name).symlink_to("/usr/bin/toybox")
    for name, script in ANSWERS.items():
        (tools / name).write_text(f"#!/system/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)
    for name, text in MADE_UP.items():
        (phone / "system" / "etc" / name).write_text(text)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    recipe = hashlib.sha256(Path(__file__).read_bytes() + (ROOT / "constraints.txt").read_bytes()).hexdigest()
    for part in PARTS:
        stamp = folder / f"{part.name}.stamp"
        if stamp.exists() and stamp.read_text() == recipe:
            continue
        print(f"fetching {', '.join(part.packages)} ({part.suite}, {part.architecture})", flush=True)
        fetch(part, folder)
        if part.name == "board":
            print(f"fetching {', '.join(WHEELS)} for aarch64", flush=True)
            add_wheels(folder / part.name)
        if part.name == "android":
            add_userland(folder / "phone", folder / part.name)
        if part.name == "qemu":
            for program in (folder / "qemu" / "usr" / "bin").glob("qemu-*"):
                if program.name != "qemu-aarch64":
                    program.unlink()
        stamp.write_text(recipe)
    shutil.rmtree(folder / "apt", ignore_errors=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: prepare.py FOLDER")
    main(Path(sys.argv[1]).resolve())
