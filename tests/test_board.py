"""What a board says of itself. The lines are as the script prints them; their values are made up."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from edgeeff.devices._board import FACTS_SCRIPT, STATE_SCRIPT, info_of, parse, power_mode, state_of, throttled_flags
from edgeeff.devices._linux import read_info, read_state
from edgeeff.devices._ssh_address import Address, parse_address
from edgeeff.devices._ssh_errors import command
from edgeeff.devices._ssh_shell import KILL, RUN, encoded, started
from edgeeff.errors import UsageError

PI = """home /home/pi
machine aarch64
kernel 6.6.51+rpt-rpi-2712
uid 1000
arch aarch64
model Raspberry Pi 5 Model B Rev 1.0
os PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
os ID=debian
memory 8256384
cpuinfo processor	: 0
cpuinfo CPU implementer	: 0x41
nproc 4
boot_id 5f0c1d2e-0000-4000-8000-000000000001
load 0.08 0.03 0.01 1/190 1234
pressure some avg10=1.25 avg60=0.00 avg300=0.00 total=22
stat cpu  1 2 3 4 5 6 7 8 9 10
available 7600000
scaling_governor:0 ondemand
scaling_governor:10 ondemand
scaling_governor:2 performance
scaling_cur_freq:0 1500000
scaling_cur_freq:10 2300000
scaling_cur_freq:2 1500000
scaling_max_freq:10 2400000
cpuinfo_max_freq:0 2400000
cpuinfo_max_freq:10 2400000
cpuinfo_max_freq:2 2400000
zone:cpu-thermal 61250
zone:gpu 0 thermal 58
vcgencmd throttled=0x50005
""".splitlines()


def test_a_raspberry_pi() -> None:
    info, state = info_of(parse(PI), "pi"), state_of(parse(PI))
    assert info.model == "Raspberry Pi 5 Model B Rev 1.0" and info.os == "Debian GNU/Linux 12 (bookworm)"
    assert (info.kind, info.abi, info.cpu_count, info.emulated) == ("linux", "aarch64", 4, False)
    assert info.memory_bytes == 8256384 * 1024
    assert state.governors == ("ondemand", "performance", "ondemand"), "in the cores' order, not in the words'"
    assert state.cpu_frequency_khz == (1500000, 1500000, 2300000) and state.cpu_frequency_max_khz == (2400000,) * 3
    assert state.cpu_frequency_limit_khz is None, "of one core only: whose it is could not be said"
    assert state.temperatures_c == {"cpu-thermal": 61.25, "gpu 0 thermal": 58.0} and state.temperature_c == 61.25
    assert (state.load_1min, state.cpu_pressure_avg10, state.steal_ticks) == (0.08, 1.25, 8)
    assert state.throttling == ("undervoltage", "throttled")
    assert state.throttled_since_boot == ("undervoltage", "throttled")


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("vcgencmd throttled=0x0", ((), ())),
        ("vcgencmd throttled=0x60008", (("soft temperature limit",), ("clock capped", "throttled"))),
        ("vcgencmd VCHI initialization failed", None),
        ("vcgencmd ", None),
        ("", None),
    ],
)  # fmt: skip
def test_a_raspberry_pis_flags_tell_of_now_and_of_since_boot(text: str, flags: object) -> None:
    assert throttled_flags(parse([text])) == flags


def test_a_jetsons_power_mode() -> None:
    assert power_mode(parse(["nvpmodel NV Power Mode: 15W", "nvpmodel 0"])) == "15W"
    assert power_mode(parse(["nvpmodel NV Power Mode: MAXN_SUPER", "nvpmodel 2"])) == "MAXN_SUPER"
    assert power_mode(parse([])) is None


def test_what_cannot_be_read_is_unknown() -> None:
    info, state = info_of(parse([]), "x"), state_of(parse([]))
    assert {getattr(info, name) for name in ("model", "os", "kernel", "abi", "cpu_count", "memory_bytes")} == {None}
    assert {getattr(state, name) for name in state.__slots__} == {None}


@pytest.mark.parametrize(
    "line", ["zone:x", "zone:x hot", "zone: ", "load ", "scaling_cur_freq:0 <unknown>", "stat cpu", "\x1b[31m"]
)
def test_lines_that_make_no_sense_are_unknown(line: str) -> None:
    state = state_of(parse([line]))
    assert state.temperature_c is None and state.load_1min is None and state.cpu_frequency_khz is None


@pytest.mark.parametrize(
    ("machine", "more", "emulated"),
    [
        ("aarch64", ["arch aarch64"], False),
        ("armv7l", ["arch aarch64"], False),  # a 32-bit system on a 64-bit kernel
        ("i686", ["arch x86_64"], False),
        ("aarch64", ["arch x86_64"], True),
        ("aarch64", ["cpuinfo vendor_id\t: AuthenticAMD"], True),
        ("x86_64", ["cpuinfo vendor_id\t: AuthenticAMD"], False),
        ("aarch64", [], False),
    ],
)
def test_an_emulator_never_poses_as_a_board(machine: str, more: list[str], emulated: bool) -> None:
    assert info_of(parse([f"machine {machine}", *more]), "x").emulated is emulated


def test_the_scripts_run_here() -> None:
    """By the shell that Debian's boards have."""
    for script in (STATE_SCRIPT, FACTS_SCRIPT):
        run = subprocess.run(["/bin/sh", "-s"], input=script, capture_output=True, text=True, timeout=900)
        assert run.returncode == 0 and run.stderr == ""
        assert state_of(parse(run.stdout.splitlines())).boot_id
    assert info_of(parse(run.stdout.splitlines()), "x").abi


def test_its_cores_are_not_what_a_user_told_openmp(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = read_info("x").cpu_count
    assert cores
    monkeypatch.setenv("OMP_NUM_THREADS", str(cores + 3))
    assert read_info("x").cpu_count == cores


def test_a_board_that_edgeeff_itself_runs_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs of that name stand for the board's own."""
    for name, answer in {"vcgencmd": "throttled=0x50001", "nvpmodel": "NV Power Mode: 7W\n1"}.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho '{answer}'\n")
        program.chmod(0o755)
    assert read_state().throttling is None
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    state = read_state()
    assert state.throttling == ("undervoltage",) and state.throttled_since_boot == ("undervoltage", "throttled")
    assert state.power_mode == "7W"


@pytest.mark.parametrize("text", [RUN, KILL])
def test_what_login_shells_read_in_different_ways_is_not_in_the_commands(text: str) -> None:
    inner = text.removeprefix("exec /bin/sh -c '").removesuffix("'")
    assert inner != text and not set(inner) & set("'!\n\\")


def test_arguments_are_encoded_in_plain_characters() -> None:
    assert encoded(["a b", "é\n"]) == b"2\na\\0040b\n\\0303\\0251\\0012\n"
    assert started("edgeeff-started 12") == 12
    assert started("edgeeff-started 12; rm") is None
    with pytest.raises(ValueError, match="NUL"):
        encoded(["a\0b"])


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ssh://pi@board.local:2222", Address("board.local", "pi", 2222)),
        ("ssh://board", Address("board")),
        ("ssh:board", Address("board")),
        ("ssh://pi@[fe80::1]:22", Address("fe80::1", "pi", 22)),
        ("ssh://10.0.0.7/", Address("10.0.0.7")),
    ],
)
def test_an_address_is_a_host_and_perhaps_user_and_port(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["ssh://", "ssh://-x", "ssh://-o@h", "ssh://h:", "ssh://h:70000", "http://h", "ssh://h\n"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_address(text)


def test_commands_to_type() -> None:
    assert command("ssh-copy-id", Address("b", "pi", 2222)) == "ssh-copy-id -p 2222 pi@b"
    assert command("ssh", Address("b")) == "ssh b"
