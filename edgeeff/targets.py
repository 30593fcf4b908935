"""What the user calls a device -> the one connected device that is meant; never another, never this machine instead.

host                    this machine
pixel, raspberry-pi-5   a name of the catalog: whatever is connected and fits
adb:SERIAL              that phone
ssh://user@host:port    that board
FILE.toml               a device file anywhere
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgeeff import registry
from edgeeff.catalog import Profiles, best_fit, fits, load_catalog, load_profile
from edgeeff.errors import DeviceError, EdgeeffError, MissingExtraError, UsageError, unknown_name
from edgeeff.values import Connected, DeviceProfile, Target

GENERIC = {"adb": ("android", "Android device"), "ssh": ("linux", "Linux board"), "host": ("host", "this machine")}
"""Transport -> the kind and title of a device that the catalog does not know."""


def resolve(
    name: str, *, serial: str | None = None, every: bool = False, catalog: Profiles | None = None
) -> list[Target]:
    """The connected devices that are meant: exactly one, or with `every` all that fit.

    Args:
        serial: the address among several that fit.

    Raises:
        UsageError: no such name.
        DeviceError: nothing that is connected fits, several do, or what fits cannot be used; the message lists what
            was seen and the hint says what to do.
        MissingExtraError: the transport's package is not installed.
    """
    catalog = load_catalog() if catalog is None else catalog
    transport, address, profile = _meant(name, catalog)
    wanted = serial or address
    # With an address that one alone is looked at: others need not be switched on.
    addresses = known_addresses(catalog, transport) if wanted is None else [wanted]
    seen = registry.transport(transport).discover(addresses)
    found = [device for device in seen if _is_meant(device, profile, wanted)]
    ready = [device for device in found if device.ready]
    if wanted is None and ready:
        found = ready  # what is not ready says too little of itself to stand in the way
    if len(found) > 1 and not ready:
        raise DeviceError(
            f"none of the {len(found)} devices that may be {name!r} can be used: {_listed(found)}", found[0].cure
        )
    if len(found) > 1 and not every:
        raise DeviceError(
            f"{len(found)} connected devices fit {name!r}: {_listed(found)}",
            f"say which: --serial {found[0].address}, or --all to take each of them",
        )
    if not found:
        raise DeviceError(*_absent(name, transport, wanted, seen))
    for device in found:
        if not device.ready:
            raise DeviceError(f"{device.address} cannot be used: {device.state}", device.cure)
    return [_target(name, device, profile, catalog) for device in found]


def seen_everywhere(catalog: Profiles) -> tuple[list[tuple[Connected, DeviceProfile]], list[EdgeeffError]]:
    """All that is connected, with its profile, and the transports that cannot be asked."""
    found: list[tuple[Connected, DeviceProfile]] = []
    problems: list[EdgeeffError] = []
    for name, transport in registry.transports().items():
        try:
            connected = transport.discover(known_addresses(catalog, name))
        except (MissingExtraError, DeviceError) as error:
            problems.append(error)
            continue
        found.extend((device, profile_of(device, catalog)) for device in connected)
    return found, problems


def profile_of(device: Connected, catalog: Profiles) -> DeviceProfile:
    """What the catalog knows of a connected device, or what is true of any that is reached in this way."""
    for profile in catalog.values():
        if profile.address == device.address and profile.transport == device.transport:
            return profile
    found = best_fit(catalog, device.transport, device.properties)
    if found is not None:
        return found
    kind, title = GENERIC.get(device.transport, ("linux", device.transport))
    generic = catalog.get(kind)
    return generic if generic is not None else DeviceProfile(kind, title, kind, device.transport)


def known_addresses(catalog: Profiles, transport: str) -> list[str]:
    """The addresses in the user's device files."""
    return sorted({p.address for p in catalog.values() if p.address is not None and p.transport == transport})


def _meant(name: str, catalog: Profiles) -> tuple[str, str | None, DeviceProfile | None]:
    """Transport, address and profile, as far as the name says them."""
    if name in catalog:
        return catalog[name].transport, catalog[name].address, catalog[name]
    if name.endswith(".toml"):
        profile = load_profile(Path(name), catalog)
        return profile.transport, profile.address, profile
    scheme, colon, rest = name.partition(":")
    if colon and scheme in registry.transports() and scheme != "host":
        if not rest.strip("/"):
            raise UsageError(f"{name!r} names no device", "write adb:SERIAL or ssh://user@host:port")
        return scheme, name if rest.startswith("//") else rest, None
    raise unknown_name("device", name, [*catalog, "adb:SERIAL", "ssh://user@host"])


def _is_meant(device: Connected, profile: DeviceProfile | None, wanted: str | None) -> bool:
    if wanted is not None:
        return device.address == wanted
    if profile is None or not profile.match:
        return True
    # What is not ready often says nothing of itself: it may be the one.
    return fits(profile, device.properties) or (not device.ready and not device.properties.get("model"))


def _target(name: str, device: Connected, profile: DeviceProfile | None, catalog: Profiles) -> Target:
    known = profile_of(device, catalog)
    if profile is not None and profile.transport == device.transport:
        # "pixel" is a Pixel 8 here: what is known of the Pixel 8 is nearer to the truth.
        own = profile.address is not None or profile.name not in catalog or not profile.match
        known = profile if own else known
    return Target(name, device, known)


def _listed(devices: Sequence[Connected]) -> str:
    return ", ".join(describe(device) for device in devices) or "nothing"


def argument_of(device: Connected) -> str:
    """What --device takes for this one, whatever else is connected."""
    if device.transport == "host":
        return "host"
    return device.address if "://" in device.address else f"{device.transport}:{device.address}"


def describe(device: Connected) -> str:
    """ "1A2B (Pixel 8)", or "1A2B (unauthorized)"."""
    model = device.properties.get("model", "")
    inside = ", ".join(part for part in (model, "" if device.ready else device.state) if part)
    return f"{device.address} ({inside})" if inside else device.address


def _absent(name: str, transport: str, wanted: str | None, seen: Sequence[Connected]) -> tuple[str, str]:
    what = f"{name!r} with the address {wanted}" if wanted and wanted not in name else repr(name)
    message = f"no connected device fits {what}; connected by {transport}: {_listed(seen)}"
    cures = {
        "adb": "connect it by USB with USB debugging on, or adb connect HOST:PORT; edgeeff devices shows what is seen",
        "ssh": 'give its address: --device ssh://user@host, or a device file with address = "ssh://user@host"',
    }
    return message, cures.get(transport, "edgeeff devices shows what is seen")
