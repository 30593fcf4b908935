"""The catalog of devices: one TOML file a kind of device, edgeeff's own and the user's.

    title = "Pixel 8"
    kind = "android"                        # "host", "linux" or "android"
    transport = "adb"                       # by default adb for android, ssh for linux
    address = "ssh://pi@192.168.1.7"        # only in a file about one device of yours
    folder = "/data/local/tmp/mine"         # where files are put, if not where edgeeff usually puts them
    python = "/home/pi/venv/bin/python"     # on a board: the interpreter that has the runtime
    npu_libraries = "/data/local/tmp/npu"   # where the NPU vendor's libraries for LiteRT lie on the device
    like = "raspberry-pi-5"                 # takes everything else from that one
    abi = "arm64-v8a"
    accelerators = ["cpu", "gpu", "npu"]
    threads = [1, 4]
    cores = "big"                           # "all", "big", or a list such as "4-7"

    [match]                                 # property = patterns, as in file names, case ignored; all must fit
    manufacturer = "Google"
    model = ["Pixel 8", "Pixel 8a"]

    [runners]                               # format = runners, the preferred first
    tflite = ["litert_native", "benchmark_model"]

    [thermal]
    max_status = 0                          # Android's thermal status that is still accepted
    max_temperature_c = 45
    cooldown_s = 120

    [sources]                               # field = where its value is from
    match = "https://..."

A file's name is the device's name. The user's are in ~/.config/edgeeff/devices (or $XDG_CONFIG_HOME's) and win over
edgeeff's own of the same name.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from fnmatch import fnmatchcase
from importlib.resources import files
from pathlib import Path
from typing import Any

from edgeeff.catalog_values import problems
from edgeeff.codec import decode
from edgeeff.errors import UsageError, unknown_name
from edgeeff.files import own_folder, read_bytes
from edgeeff.values import DeviceProfile, ThermalLimits

TRANSPORTS = {"host": "host", "android": "adb", "linux": "ssh"}
"""Kind of device -> how it is reached where the file does not say."""

Profiles = Mapping[str, DeviceProfile]


def user_folder() -> Path:
    """Where the user's own device files are."""
    return own_folder("XDG_CONFIG_HOME", ".config") / "devices"


def load_catalog(folder: Path | None = None) -> dict[str, DeviceProfile]:
    """All profiles by name.

    Args:
        folder: the user's; by default `user_folder()`.

    Raises:
        UsageError: a file is not TOML, or a value in it makes no sense; the message names both.
    """
    catalog = files("edgeeff.devices") / "catalog"
    texts = {entry.name[:-5]: (f"catalog/{entry.name}", entry.read_bytes()) for entry in _toml(catalog)}
    own = user_folder() if folder is None else folder
    if own.is_dir():
        texts |= {path.stem: (str(path), read_bytes(path)) for path in sorted(own.glob("*.toml"))}
    tables = {name: (origin, _parsed(origin, content)) for name, (origin, content) in texts.items()}
    return {name: _profile(name, tables, ()) for name in sorted(tables)}


def load_profile(path: Path, catalog: Profiles) -> DeviceProfile:
    """The profile in a file of the user's, wherever it is.

    Raises:
        UsageError: there is no such file, or it makes no sense.
    """
    table = _parsed(str(path), read_bytes(path))
    like = _like(str(path), table)
    base = None
    if like is not None:
        if like not in catalog:
            raise _wrong(str(path), str(unknown_name("device in `like`", like, catalog)))
        base = catalog[like]
    return _decoded(path.stem, str(path), table, base)


def _toml(folder: Any) -> list[Any]:
    return sorted((entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda entry: entry.name)


def _parsed(origin: str, content: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _wrong(origin, f"not TOML: {error}") from error


def _profile(name: str, tables: Mapping[str, tuple[str, dict[str, Any]]], seen: tuple[str, ...]) -> DeviceProfile:
    """A profile on top of the one that it is like; `seen` are those on the way here."""
    origin, table = tables[name]
    like = _like(origin, table)
    if like is None:
        return _decoded(name, origin, table, None)
    if like in (*seen, name):
        raise _wrong(origin, f"`like` goes round in a circle: {' -> '.join((*seen, name, like))}")
    if like not in tables:
        raise _wrong(origin, str(unknown_name("device in `like`", like, tables)))
    return _decoded(name, origin, table, _profile(like, tables, (*seen, name)))


def _like(origin: str, table: Mapping[str, Any]) -> str | None:
    like = table.get("like")
    if like is not None and not isinstance(like, str):
        raise _wrong(origin, "`like` is not a name")
    return like


def _decoded(name: str, origin: str, table: Mapping[str, Any], base: DeviceProfile | None) -> DeviceProfile:
    """Checks a file's table against the profile's fields; what it does not say is the base's."""
    known = {field.name for field in fields(DeviceProfile)} - {"name", "origin"}
    for key in table.keys() - known - {"like"}:
        raise _wrong(origin, str(unknown_name("field", key, known)))
    given = {key: value for key, value in table.items() if key != "like"}
    limits = {field.name for field in fields(ThermalLimits)}
    for key in set(given["thermal"]) - limits if isinstance(given.get("thermal"), dict) else ():
        raise _wrong(origin, str(unknown_name("field of thermal", key, limits)))
    for lists in ("match", "runners"):
        if isinstance(given.get(lists), dict):
            given[lists] = {key: [v] if isinstance(v, str) else v for key, v in given[lists].items()}
    kind = given.get("kind", base.kind if base else None)
    if kind is None:
        raise _wrong(origin, f"it has neither `kind` ({', '.join(TRANSPORTS)}) nor `like`")
    if not isinstance(kind, str) or kind not in TRANSPORTS:
        raise _wrong(origin, str(unknown_name("kind", str(kind), TRANSPORTS)))
    usual = {"title": name, "transport": TRANSPORTS[kind], "kind": kind}
    try:
        profile = decode(DeviceProfile, {**usual, **given, "name": name, "origin": origin})
    except ValueError as error:
        raise _wrong(origin, str(error)) from error
    if base is not None:
        profile = replace(base, name=name, origin=origin, **{key: getattr(profile, key) for key in given})
    for problem in problems(profile):
        raise _wrong(origin, problem)
    return profile


def _wrong(origin: str, what: str) -> UsageError:
    return UsageError(f"the device file {origin} makes no sense: {what}", "see devices/README.md for what it may say")


def fits(profile: DeviceProfile, properties: Mapping[str, str]) -> bool:
    """Whether a device with these properties is one of this kind. A profile that matches nothing fits nothing."""
    return bool(profile.match) and all(
        any(fnmatchcase(properties.get(key, "").lower(), pattern.lower()) for pattern in patterns)
        for key, patterns in profile.match.items()
    )


def best_fit(profiles: Profiles, transport: str, properties: Mapping[str, str]) -> DeviceProfile | None:
    """The profile that says most precisely what this is: the one with the most letters in its patterns."""

    def precision(profile: DeviceProfile) -> tuple[int, str]:
        exact = sum(max(len(p.replace("*", "")) for p in patterns) for patterns in profile.match.values() if patterns)
        return exact, profile.name

    fitting = [p for p in profiles.values() if p.transport == transport and fits(p, properties)]
    return max(fitting, key=precision, default=None)
