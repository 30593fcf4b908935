"""Finds adapters: the modules of `edgeeff.<group>`, then entry points of the group "edgeeff.<group>".

Adding an adapter is adding one file. Two with one name are an error; one that cannot be imported because a
package is missing is disabled, and asking for it by name says what cures it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, cast

from edgeeff.errors import EdgeeffError, UsageError, unknown_name
from edgeeff.protocols import Converter, ModelFamily, Road, Runner, Runtime, Transport

GROUPS: dict[str, Any] = {
    "models": ModelFamily,
    "converters": Converter,
    "benchmarks": Runner,
    "devices": Transport,
}


def _modules(group: str) -> Iterator[tuple[str, ModuleType | ImportError]]:
    """The modules of a group by their names, which are their adapters' names too."""
    package = importlib.import_module(f"edgeeff.{group}")
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda i: i.name):
        if info.name.startswith("_") or info.ispkg:
            continue
        try:
            yield info.name, importlib.import_module(f"{package.__name__}.{info.name}")
        except ImportError as error:
            yield info.name, error


@cache
def _load(group: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The adapters of a group by name, and the cures of those that could not be imported."""
    found: dict[str, Any] = {}
    disabled: dict[str, str] = {}

    def add(adapter: Any, origin: str) -> None:
        protocol = GROUPS[group]
        if not isinstance(adapter, protocol):
            raise EdgeeffError(f"{origin} is not a {protocol.__name__}")
        if adapter.name in found:
            raise EdgeeffError(f"two adapters of edgeeff.{group} are called {adapter.name!r}; one is {origin}")
        found[adapter.name] = adapter

    for name, module in _modules(group):
        if isinstance(module, ImportError):
            disabled[name] = _cure(module)
        elif hasattr(module, "ADAPTER"):
            add(module.ADAPTER, module.__name__)
    for entry in entry_points(group=f"edgeeff.{group}"):
        try:
            add(entry.load(), entry.value)
        except ImportError as error:
            disabled[entry.name] = _cure(error)
    return found, disabled


def _cure(error: ImportError) -> str:
    return f"pip install {error.name}" if isinstance(error, ModuleNotFoundError) else str(error)


def _get(group: str, kind: str, name: str) -> Any:
    found, disabled = _load(group)
    if name in found:
        return found[name]
    if name in disabled:
        raise UsageError(f"the {kind} {name!r} is disabled: a package that it needs cannot be imported", disabled[name])
    raise unknown_name(kind, name, found)


def families() -> dict[str, ModelFamily]:
    """The families of networks by name, as all that can be loaded here; so of the three below."""
    return cast("dict[str, ModelFamily]", dict(_load("models")[0]))


def converters() -> dict[str, Converter]:
    return cast("dict[str, Converter]", dict(_load("converters")[0]))


def runners() -> dict[str, Runner]:
    return cast("dict[str, Runner]", dict(_load("benchmarks")[0]))


def transports() -> dict[str, Transport]:
    return cast("dict[str, Transport]", dict(_load("devices")[0]))


def converter(name: str) -> Converter:
    """The converter of a format.

    Raises:
        UsageError: there is none of that name, or it cannot be loaded; so for all that is asked for by name below.
    """
    return cast(Converter, _get("converters", "format", name))


def roads() -> dict[str, Road]:
    """Other projects' converters, by name: what modules of converters/ offer as ROAD."""
    modules = [module for _, module in _modules("converters") if isinstance(module, ModuleType)]
    return {module.ROAD.name: module.ROAD for module in modules if isinstance(getattr(module, "ROAD", None), Road)}


def road(name: str) -> Road:
    found = roads()
    if name not in found:
        raise unknown_name("road of --via", name, found)
    return found[name]


def runner(name: str) -> Runner:
    return cast(Runner, _get("benchmarks", "runtime", name))


def runtime(name: str) -> Runtime:
    """What runs files in this process: those of the runners that can."""
    found = runner(name)
    if not isinstance(found, Runtime):
        raise UsageError(f"{name} only times files, and does not give their outputs", "take litert or onnxruntime")
    return found


def transport(name: str) -> Transport:
    return cast(Transport, _get("devices", "transport", name))


def runners_for(format_name: str, kind: str) -> dict[str, Runner]:
    """The runners that time a format on a kind of device, by name."""
    return {name: found for name, found in runners().items() if format_name in found.formats and kind in found.kinds}
