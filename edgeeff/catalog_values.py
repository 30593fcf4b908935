"""What the values of a device file may be: a wrong one is said when the file is read, not when it is measured by."""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgeeff import registry
from edgeeff.errors import unknown_name
from edgeeff.measuring.conditions import chosen_cpus
from edgeeff.values import DeviceProfile, DeviceState

ACCELERATORS = ("cpu", "gpu", "npu")
MOST_THREADS = 999
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def problems(profile: DeviceProfile) -> Iterator[str]:
    """What makes no sense in a profile, in one clause each."""
    if profile.transport not in registry.transports():
        yield str(unknown_name("transport", profile.transport, registry.transports()))
    yield from _address(profile)
    if not profile.threads or not all(0 < number <= MOST_THREADS for number in profile.threads):
        yield f"'threads' are numbers from 1 to {MOST_THREADS}, not {list(profile.threads)}"
    try:
        chosen_cpus(profile.cores, 1, DeviceState())
    except ValueError as error:
        yield f"'cores': {error}"
    for name in profile.accelerators:
        if name not in ACCELERATORS:
            yield str(unknown_name("accelerator", name, ACCELERATORS))
    if not profile.accelerators:
        yield f"'accelerators' are some of {', '.join(ACCELERATORS)}, not none"
    for names in profile.runners.values():
        for name in names:
            if name not in registry.runners():
                yield str(unknown_name("runner", name, registry.runners()))
    if profile.thermal.cooldown_s < 0:
        yield f"'cooldown_s' cannot be {profile.thermal.cooldown_s:g}: it is seconds, 0 or more"
    yield from _paths(profile)


def _address(profile: DeviceProfile) -> Iterator[str]:
    address = profile.address
    if address is None:
        return
    if not address or _CONTROL.search(address):
        yield f"'address' cannot be {address!r}"
    elif profile.transport == "ssh" and not address.startswith("ssh:"):
        yield f"'address' cannot be {address!r}: write ssh://user@host or ssh://user@host:port"
    elif profile.transport == "adb" and (address.startswith("adb:") or "://" in address):
        yield f"'address' cannot be {address!r}: write the serial as adb devices shows it"


def _paths(profile: DeviceProfile) -> Iterator[str]:
    for name in ("folder", "npu_libraries", "python"):
        path = getattr(profile, name)
        if path is not None and (not path or _CONTROL.search(path)):
            yield f"'{name}' cannot be {path!r}"
        elif path is not None and name != "python" and not path.startswith("/"):
            yield f"'{name}' cannot be {path!r}: it is a whole path on the device, from /"
