"""RTP packets of a call, and the transport encryption around them.

On the wire a packet is its header in the clear, the sealed content and a 32-bit nonce
(aead_xchacha20_poly1305_rtpsize). With the X bit the header reaches over the four bytes that
open its extension; the extension's words are the front of the content.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Self

from nacl.exceptions import CryptoError
from nacl.secret import Aead

MODE = "aead_xchacha20_poly1305_rtpsize"
SAMPLE_RATE_HZ = 48_000
FRAME_SAMPLES = 960
FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ
SILENCE = b"\xf8\xff\xfe"
"""The Opus frame that ends a sentence. It is never encrypted end to end."""

_OPUS = 0x78
_VERSION_2 = 0x80
_PADDED, _EXTENDED = 0x20, 0x10
_FIXED_BYTES = 12
_NONCE_BYTES = 4
_AUDIO_LEVEL = b"\x10\x7f\x00\x00"  # one-byte extension 1 (RFC 6464), padded to a word
_ONE_BYTE_EXTENSIONS = 0xBEDE


class MalformedPacketError(ValueError):
    """A datagram that is no packet of this call."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet without its transport encryption: header as on the wire, content in the clear."""

    header: bytes
    content: bytes

    @classmethod
    def of_person(
        cls, *, sequence: int, timestamp_samples: int, ssrc: int, media: bytes, padding_bytes: int
    ) -> Self:
        """As Discord's own clients send them: with an extension, and padded now and then."""
        first = _VERSION_2 | _EXTENDED | (_PADDED if padding_bytes else 0)
        fixed = struct.pack(">BBHII", first, _OPUS, sequence, timestamp_samples, ssrc)
        extension = struct.pack(">HH", _ONE_BYTE_EXTENSIONS, len(_AUDIO_LEVEL) // 4)
        padding = bytes(padding_bytes - 1) + bytes((padding_bytes,)) if padding_bytes else b""
        return cls(fixed + extension, _AUDIO_LEVEL + media + padding)

    @property
    def sequence(self) -> int:
        return int.from_bytes(self.header[2:4])

    @property
    def timestamp_samples(self) -> int:
        return int.from_bytes(self.header[4:8])

    @property
    def media(self) -> bytes:
        """The content without extension and padding."""
        start, end = 0, len(self.content)
        if self.header[0] & _EXTENDED:
            start = 4 * int.from_bytes(self.header[-2:])
        if self.header[0] & _PADDED and self.content:
            end -= self.content[-1]
        return self.content[start:end]

    def seal(self, key: bytes, nonce: int) -> bytes:
        """The datagram for whoever holds `key`; a nonce serves once."""
        tail = struct.pack(">I", nonce)
        sealed = Aead(key).encrypt(self.content, self.header, tail.ljust(Aead.NONCE_SIZE, b"\0"))
        return self.header + sealed.ciphertext + tail


def ssrc_of(data: bytes) -> int:
    """Whose packet this says it is.

    Raises:
        MalformedPacketError: not an RTP packet that carries Opus.
    """
    if len(data) < _FIXED_BYTES + _NONCE_BYTES or data[0] >> 6 != 2 or data[1] != _OPUS:
        raise MalformedPacketError("not an RTP packet that carries Opus")
    return int.from_bytes(data[8:12])


def unseal(data: bytes, key: bytes) -> Packet:
    """Take the transport encryption off a datagram.

    Raises:
        MalformedPacketError: not sealed with `key`.
    """
    size = _FIXED_BYTES + 4 * (data[0] & 0x0F) + (4 if data[0] & _EXTENDED else 0)
    header, sealed, tail = data[:size], data[size:-_NONCE_BYTES], data[-_NONCE_BYTES:]
    try:
        content = Aead(key).decrypt(sealed, header, tail.ljust(Aead.NONCE_SIZE, b"\0"))
    except (CryptoError, ValueError) as error:
        raise MalformedPacketError("not sealed with this call's key") from error
    return Packet(header, content)
