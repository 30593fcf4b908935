"""What a phone on a cable may be in, by the lines of `adb devices -l`: here an adb server's double says them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from edgeeff.errors import DeviceError
from edgeeff.targets import resolve

# As adb 36 writes them (AOSP's packages/modules/adb, transport.cpp and socket_spec.cpp).
LINES = """\
0A051FDD4000XX         unauthorized usb:1-2 transport_id:1
0A051FDD4001XX         offline usb:1-3 transport_id:2
0A051FDD4002XX         authorizing usb:1-4 transport_id:3
0A051FDD4003XX         recovery usb:1-5 product:husky model:Pixel_8_Pro device:husky transport_id:4
0A051FDD4004XX         bootloader usb:1-6 transport_id:5
0A051FDD4005XX         sideload usb:1-7 product:husky model:Pixel_8_Pro device:husky transport_id:6
(no serial number)     no permissions (missing udev rules? user is in the plugdev group); see \
[http://developer.android.com/tools/device.html] usb:1-8 transport_id:7
0A051FDD4006XX         rescue usb:1-9 transport_id:8
"""


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Makes the adb server's double say what is connected."""
    said = [""]

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                service = connection.recv(int(connection.recv(4), 16))
                # The short list is asked while a device settles: none is in it, so nothing is waited for.
                text = said[0].encode() if service == b"host:devices-l" else b""
                connection.sendall(b"OKAY%04x" % len(text) + text)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("ADB_SERVER_SOCKET", f"tcp:127.0.0.1:{listener.getsockname()[1]}")
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield lambda text: said.__setitem__(0, text)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize(
    ("line", "state", "cure"),
    [
        (0, "unauthorized", "allow this computer's key"),
        (1, "offline", "reconnect the cable"),
        (2, "authorizing", "allow this computer's key on the device's screen"),
        (3, "recovery", "restart it into Android (adb reboot)"),
        (4, "bootloader", "fastboot reboot"),
        (5, "sideload", "adb reboot"),
        (6, "no permissions", "udev"),
        (7, "rescue", "adb devices -l"),
    ],
)
def test_each_state_has_its_cure(listed: Callable[[str], None], line: int, state: str, cure: str) -> None:
    text = LINES.splitlines()[line]
    listed(f"{text}\n")
    serial = "(no serial number)" if text.startswith("(") else text.split()[0]
    for name in (f"adb:{serial}", "pixel"):
        with pytest.raises(DeviceError) as caught:
            resolve(name)
        assert caught.value.message == f"{serial} cannot be used: {state}"
        assert cure in caught.value.hint


def test_several_of_which_none_can_be_used_are_listed(listed: Callable[[str], None]) -> None:
    listed(LINES)
    with pytest.raises(DeviceError, match="none of the 8 devices that may be 'pixel' can be used: 0A051") as caught:
        resolve("pixel")
    assert "(no serial number) (no permissions)" in caught.value.message
