"""The certificate that is made at start, as OpenSSL sees it."""

import ssl

import pytest

from playground.voice import der
from playground.voice.certificate import Certificate, self_signed


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return self_signed("127.0.0.1")


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> None:
    """A TLS handshake in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                pass


def test_client_that_trusts_it_shakes_hands_under_the_strictest_check(certificate):
    client = certificate.trusting_context()
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    handshake(certificate.server_context(), client, "127.0.0.1")


@pytest.mark.parametrize("trusting", [self_signed("127.0.0.1"), None], ids=["another", "none"])
def test_other_clients_do_not(certificate, trusting):
    client = trusting.trusting_context() if trusting else ssl.create_default_context()
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(certificate.server_context(), client, "127.0.0.1")


def test_it_is_for_its_address_alone(certificate):
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        handshake(certificate.server_context(), certificate.trusting_context(), "127.0.0.2")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (der.integer(0), "020100"),
        (der.integer(127), "02017f"),
        (der.integer(128), "02020080"),
        (der.object_id("1.2.840.10045.3.1.7"), "06082a8648ce3d030107"),
        (der.octets(bytes(128)), "048180" + "00" * 128),
        (der.octets(bytes(256)), "04820100" + "00" * 256),
    ],
)
def test_der_is_encoded_as_the_standard_says(value, expected):
    assert value.hex() == expected
