"""Device files: edgeeff's own, the user's, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeeff import registry
from edgeeff.catalog import best_fit, fits, load_catalog, load_profile, user_folder
from edgeeff.errors import UsageError

CATALOG = load_catalog(Path("/nowhere"))


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", CATALOG)
def test_every_profile_names_what_is_there(name: str) -> None:
    profile = CATALOG[name]
    assert profile.transport in {*registry.transports(), "ssh"}
    for format_name, runners in profile.runners.items():
        assert format_name in registry.converters()
        assert set(runners) <= set(registry.runners_for(format_name, profile.kind))
    assert "cpu" in profile.accelerators
    assert profile.match or profile.name in ("android", "linux")


def test_the_users_file_wins_and_takes_the_rest_from_another(tmp_path: Path) -> None:
    written(tmp_path, "rack.toml", 'like = "linux"\naddress = "ssh://pi@10.0.0.7"\nthreads = [4]')
    written(tmp_path, "linux.toml", 'kind = "linux"\ntitle = "ours"')
    catalog = load_catalog(tmp_path)
    assert catalog["linux"].title == "ours"
    rack = catalog["rack"]
    assert (rack.title, rack.threads, rack.transport, rack.kind) == ("ours", (4,), "ssh", "linux")
    assert rack.address == "ssh://pi@10.0.0.7"


def test_a_file_anywhere(tmp_path: Path) -> None:
    path = written(tmp_path, "bench phone.toml", 'like = "android"\n[match]\nmodel = "X*"\n[thermal]\nmax_status = 1')
    profile = load_profile(path, CATALOG)
    assert profile.name == "bench phone"
    assert profile.thermal.max_status == 1
    assert fits(profile, {"model": "xyz"}) and not fits(profile, {"model": "yx"}) and not fits(profile, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind = ", "not TOML"),
        ("\udcff", "not TOML"),
        ('title = "x"', "neither `kind` (host, android, linux) nor `like`"),
        ('kind = "adnroid"', "did you mean android"),
        ("kind = []", "unknown kind '[]'"),
        ('kind = "linux"\nthread = [1]', "did you mean threads"),
        ('kind = "linux"\nthreads = "1"', "'threads' cannot be '1'"),
        ('kind = "linux"\nthermal = 5', "ThermalLimits"),
        ('like = "linus"', "did you mean linux"),
        ("like = 5", "`like` is not a name"),
        ('like = "pixel"\nthreads = [0]', "'threads' are numbers from 1 to 999, not [0]"),
        ('like = "pixel"\nthreads = []', "not []"),
        ('like = "pixel"\ncores = "7-4"', "'7-4' names no core"),
        ('like = "pixel"\naccelerators = ["tpu"]', "did you mean npu or gpu"),
        ('like = "pixel"\naccelerators = []', "not none"),
        ('like = "pixel"\n[runners]\ntflite = "benchmark"', "did you mean benchmark_model"),
        ('like = "pixel"\n[match]\nmodel = 5', "'match' cannot be 5"),
        ('like = "pixel"\n[thermal]\ncooldown = 5', "did you mean cooldown_s"),
        ('like = "pixel"\n[thermal]\ncooldown_s = -5', "'cooldown_s' cannot be -5"),
        ('like = "pixel"\ntransport = "pigeon"', "unknown transport 'pigeon'"),
        ('like = "pixel"\naddress = "adb:1A2B"', "write the serial as adb devices shows it"),
        ('like = "pixel"\naddress = "a\\nb"', r"'address' cannot be 'a\nb'"),
        ('like = "linux"\naddress = "rack3"', "write ssh://user@host"),
        ('like = "linux"\nfolder = "mine"', "a whole path on the device"),
        ('like = "linux"\npython = "a\\u0000b"', r"'python' cannot be 'a\x00b'"),
    ],
)
def test_what_is_wrong_is_named_with_its_file(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    for load in (lambda: load_profile(path, CATALOG), lambda: load_catalog(tmp_path)):
        with pytest.raises(UsageError) as caught:
            load()
        assert str(path) in caught.value.message and message in caught.value.message


def test_profiles_like_one_another_in_a_circle(tmp_path: Path) -> None:
    written(tmp_path, "a.toml", 'like = "b"')
    written(tmp_path, "b.toml", 'like = "a"')
    with pytest.raises(UsageError, match="circle"):
        load_catalog(tmp_path)


def test_the_nearest_profile_fits_best(tmp_path: Path) -> None:
    written(tmp_path, "any.toml", 'like = "android"\n[match]\nmodel = "Q*"')
    written(tmp_path, "q8.toml", 'like = "android"\n[match]\nmodel = "Q 8"')
    catalog = load_catalog(tmp_path)
    for model, name in (("Q 8", "q8"), ("Q 9", "any")):
        found = best_fit(catalog, "adb", {"model": model})
        assert found is not None and found.name == name
    assert best_fit(catalog, "ssh", {"model": "Q 8"}) is None


def test_the_users_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert user_folder() == tmp_path / "edgeeff" / "devices"
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    assert user_folder() == Path.home() / ".config" / "edgeeff" / "devices"


def test_every_datum_has_its_source() -> None:
    """Of each file's own fields; what it takes from another is that one's to account for."""
    import tomllib
    from importlib.resources import files

    for entry in (files("edgeeff.devices") / "catalog").iterdir():
        table = tomllib.loads(entry.read_text())
        stated = set(table) & {"match", "abi", "thermal", "threads", "accelerators"}
        if entry.name == "host.toml":
            stated -= {"match"}
        assert stated <= set(table["sources"]), entry.name


@pytest.mark.parametrize(
    ("transport", "properties", "name"),
    [
        ("adb", {"manufacturer": "Google", "model": "Pixel 8", "device": "shiba"}, "pixel-8"),
        ("adb", {"manufacturer": "Google", "model": "Pixel 8 Pro", "device": "husky"}, "pixel"),
        ("adb", {"manufacturer": "Google", "model": "Pixel 9 Pro", "device": "caiman"}, "pixel-9-pro"),
        ("adb", {"manufacturer": "Google", "model": "Pixel 9 Pro XL", "device": "komodo"}, "pixel"),
        ("adb", {"manufacturer": "samsung", "model": "SM-S921B"}, "galaxy-s24"),
        ("adb", {"manufacturer": "samsung", "model": "SM-S931U1"}, "galaxy-s25"),
        ("adb", {"manufacturer": "Fairphone", "model": "FP5"}, None),
        ("ssh", {"model": "Raspberry Pi 5 Model B Rev 1.0"}, "raspberry-pi-5"),
        ("ssh", {"model": "Raspberry Pi 4 Model B Rev 1.4"}, "raspberry-pi-4"),
        ("ssh", {"model": "NVIDIA Jetson Orin Nano Developer Kit"}, "jetson-orin-nano"),
        ("ssh", {}, None),
    ],
)
def test_devices_are_known_by_what_they_say(transport: str, properties: dict[str, str], name: str | None) -> None:
    found = best_fit(CATALOG, transport, properties)
    assert (found and found.name) == name
