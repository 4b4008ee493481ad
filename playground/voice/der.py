"""The few DER encodings (ITU-T X.690) that a certificate and an ECDSA signature are made of."""

from __future__ import annotations


def value(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(length))) + length + content


def integer(number: int) -> bytes:
    """An integer that is not negative."""
    return value(0x02, number.to_bytes(number.bit_length() // 8 + 1))


def boolean(truth: bool) -> bytes:
    return value(0x01, b"\xff" if truth else b"\x00")


def sequence(*parts: bytes) -> bytes:
    return value(0x30, b"".join(parts))


def set_of(part: bytes) -> bytes:
    return value(0x31, part)


def octets(content: bytes) -> bytes:
    return value(0x04, content)


def bits(content: bytes, *, unused: int = 0) -> bytes:
    return value(0x03, bytes((unused,)) + content)


def text(words: str) -> bytes:
    return value(0x0C, words.encode())


def tagged(number: int, content: bytes) -> bytes:
    """An explicit context tag around whole values."""
    return value(0xA0 | number, content)


def object_id(dotted: str) -> bytes:
    first, second, *others = (int(part) for part in dotted.split("."))
    content = bytearray((first * 40 + second,))
    for number in others:
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.append(0x80 | number & 0x7F)
        content.extend(reversed(groups))
    return value(0x06, bytes(content))
