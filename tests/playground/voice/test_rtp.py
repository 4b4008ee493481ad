"""Packets on the wire: header in the clear, content sealed, extension and padding inside."""

import pytest
from nacl.secret import Aead

from playground.voice.rtp import MalformedPacketError, Packet, ssrc_of, unseal

KEY = bytes(range(Aead.KEY_SIZE))


def packet(padding_bytes: int = 0) -> Packet:
    return Packet.of_person(
        sequence=0xFFFF,
        timestamp_samples=0xFFFF_FC40,
        ssrc=7,
        media=b"media",
        padding_bytes=padding_bytes,
    )


@pytest.mark.parametrize("padding_bytes", [0, 1, 8])
def test_packet_survives_the_wire(padding_bytes):
    data = packet(padding_bytes).seal(KEY, nonce=1)
    assert ssrc_of(data) == 7
    opened = unseal(data, KEY)
    assert opened.media == b"media"
    assert (opened.sequence, opened.timestamp_samples) == (0xFFFF, 0xFFFF_FC40)


def test_nothing_of_a_packet_can_be_changed_on_the_way():
    data = packet().seal(KEY, nonce=1)
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1
        with pytest.raises(MalformedPacketError):
            unseal(bytes(changed), KEY)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x80\x78" + bytes(13), b"\x40\x78" + bytes(20), b"\x81\xc9" + bytes(40)],
    ids=["empty", "short", "version 1", "RTCP"],
)
def test_what_is_no_voice_packet_is_refused(data):
    with pytest.raises(MalformedPacketError):
        ssrc_of(data)
