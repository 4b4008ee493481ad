"""A certificate for 127.0.0.1, made at start: voice clients insist on TLS, also on the loopback.

It is its own issuer and belongs to one running playground. A client comes to trust it by
`trusting_context`, or by giving its PEM to whatever verifies for it.
"""

from __future__ import annotations

import hashlib
import secrets
import ssl
import tempfile
from base64 import encodebytes
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from . import der
from .p256 import SigningKey, generate_key

_EC_PUBLIC_KEY = der.object_id("1.2.840.10045.2.1")
_PRIME256V1 = der.object_id("1.2.840.10045.3.1.7")
_ECDSA_WITH_SHA256 = der.sequence(der.object_id("1.2.840.10045.4.3.2"))
_COMMON_NAME = der.object_id("2.5.4.3")
_SUBJECT_KEY_ID = der.object_id("2.5.29.14")
_KEY_USAGE = der.object_id("2.5.29.15")
_SUBJECT_ALT_NAME = der.object_id("2.5.29.17")
_AUTHORITY_KEY_ID = der.object_id("2.5.29.35")
_DIGITAL_SIGNATURE = der.bits(b"\x80", unused=7)
_LIFE = timedelta(days=365)
_CLOCK_SLACK = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its key, in PEM."""

    pem: str
    key_pem: str

    def server_context(self) -> ssl.SSLContext:
        """What a server shows to its clients. Writes the key to disk for a moment, for itself."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as directory:
            chain = Path(directory, "chain.pem")
            chain.write_text(self.key_pem + self.pem, encoding="ascii")
            context.load_cert_chain(chain)
        return context

    def trusting_context(self) -> ssl.SSLContext:
        """A client's default context that trusts this certificate beside the usual ones."""
        context = ssl.create_default_context()
        context.load_verify_locations(cadata=self.pem)
        return context


def self_signed(address: str) -> Certificate:
    """A fresh certificate for an IPv4 address."""
    key = generate_key()
    name = der.sequence(
        der.set_of(der.sequence(_COMMON_NAME, der.text(f"Playground voice {secrets.token_hex(4)}")))
    )
    now = datetime.now(UTC)
    to_be_signed = der.sequence(
        der.tagged(0, der.integer(2)),  # version 3
        der.integer(secrets.randbits(120)),
        _ECDSA_WITH_SHA256,
        name,
        der.sequence(_time(now - _CLOCK_SLACK), _time(now + _LIFE)),
        name,
        der.sequence(der.sequence(_EC_PUBLIC_KEY, _PRIME256V1), der.bits(key.public)),
        der.tagged(3, _extensions(key, IPv4Address(address))),
    )
    certificate = der.sequence(to_be_signed, _ECDSA_WITH_SHA256, der.bits(key.sign(to_be_signed)))
    private_key = der.sequence(
        der.integer(1),
        der.octets(key.secret.to_bytes(32)),
        der.tagged(0, _PRIME256V1),
        der.tagged(1, der.bits(key.public)),
    )
    return Certificate(_pem("CERTIFICATE", certificate), _pem("EC PRIVATE KEY", private_key))


def _extensions(key: SigningKey, address: IPv4Address) -> bytes:
    key_id = hashlib.sha256(key.public).digest()[:20]
    ip_address = der.value(0x87, address.packed)
    return der.sequence(
        der.sequence(_SUBJECT_ALT_NAME, der.octets(der.sequence(ip_address))),
        der.sequence(_KEY_USAGE, der.boolean(True), der.octets(_DIGITAL_SIGNATURE)),
        der.sequence(_SUBJECT_KEY_ID, der.octets(der.octets(key_id))),
        der.sequence(_AUTHORITY_KEY_ID, der.octets(der.sequence(der.value(0x80, key_id)))),
    )


def _time(moment: datetime) -> bytes:
    """UTCTime, which X.509 asks for until 2049."""
    return der.value(0x17, moment.strftime("%y%m%d%H%M%SZ").encode())


def _pem(label: str, content: bytes) -> str:
    return f"-----BEGIN {label}-----\n{encodebytes(content).decode()}-----END {label}-----\n"
