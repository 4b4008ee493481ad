"""ECDSA on the curve P-256 with SHA-256 (FIPS 186-5): what the loopback's certificate and the
voice gateway's signed proposals need, in plain Python and about three milliseconds a signature.

Not in constant time: its keys live as long as one playground and guard nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from . import der

_P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_GENERATOR = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
_SCALAR_BITS = 256

_Jacobian = tuple[int, int, int]  # x/z², y/z³; z = 0 is the point at infinity


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and its public point, uncompressed (65 bytes)."""

    secret: int
    public: bytes

    def sign(self, message: bytes) -> bytes:
        """A signature of `message` in DER: the sequence of r and s."""
        digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
        while True:
            nonce = 1 + secrets.randbelow(_N - 1)
            r = _multiply(nonce)[0] % _N
            s = pow(nonce, -1, _N) * (digest + r * self.secret) % _N
            if r and s:
                return der.sequence(der.integer(r), der.integer(s))


def generate_key() -> SigningKey:
    secret = 1 + secrets.randbelow(_N - 1)
    x, y = _multiply(secret)
    return SigningKey(secret, b"\x04" + x.to_bytes(32) + y.to_bytes(32))


def _multiply(scalar: int) -> tuple[int, int]:
    """The generator times `scalar`, in affine coordinates."""
    point: _Jacobian = (1, 1, 0)
    for bit in reversed(range(_SCALAR_BITS)):
        point = _double(point)
        if scalar >> bit & 1:
            point = _add_generator(point)
    inverse = pow(point[2], -1, _P)
    return point[0] * inverse**2 % _P, point[1] * inverse**3 % _P


def _double(point: _Jacobian) -> _Jacobian:
    x, y, z = point
    squared_y = y * y % _P
    across = 4 * x * squared_y % _P
    slope = 3 * (x - z * z) * (x + z * z) % _P  # the curve's a is -3
    new_x = (slope * slope - 2 * across) % _P
    new_y = (slope * (across - new_x) - 8 * squared_y * squared_y) % _P
    return new_x, new_y, 2 * y * z % _P


def _add_generator(point: _Jacobian) -> _Jacobian:
    x, y, z = point
    if z == 0:
        return (*_GENERATOR, 1)
    squared_z = z * z % _P
    apart_x = (_GENERATOR[0] * squared_z - x) % _P
    apart_y = (_GENERATOR[1] * squared_z * z - y) % _P
    if apart_x == 0:
        return _double(point) if apart_y == 0 else (1, 1, 0)
    squared = apart_x * apart_x % _P
    cubed = squared * apart_x % _P
    new_x = (apart_y * apart_y - cubed - 2 * x * squared) % _P
    new_y = (apart_y * (x * squared - new_x) - y * cubed) % _P
    return new_x, new_y, z * apart_x % _P
