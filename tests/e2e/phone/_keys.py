"""adb's authentication: RSA keys in its own format, and signatures of a token."""

from __future__ import annotations

import base64

SHA1_INFO = bytes.fromhex("3021300906052b0e03021a05000414")

Key = tuple[int, int]
"""Modulus and exponent."""


def public_key(data: bytes) -> Key:
    """Of adb's own format: words, n0inv, modulus, R^2, exponent, in base64."""
    blob = base64.b64decode(data.split(b" ")[0].rstrip(b"\0"))
    words = int.from_bytes(blob[:4], "little")
    return int.from_bytes(blob[8 : 8 + 4 * words], "little"), int.from_bytes(blob[8 + 8 * words :][:4], "little")


def verifies(key: Key, token: bytes, signature: bytes) -> bool:
    """RSASSA-PKCS1-v1_5 with SHA-1, where the token itself is the digest (adb's way)."""
    modulus, exponent = key
    size = (modulus.bit_length() + 7) // 8
    message = pow(int.from_bytes(signature, "big"), exponent, modulus).to_bytes(size, "big")
    info = SHA1_INFO + token
    return message == b"\0\1" + b"\xff" * (size - len(info) - 3) + b"\0" + info
