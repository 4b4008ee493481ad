"""Voice channels on the loopback: gateway, packets, and end-to-end encryption (DAVE)."""

from .person import Heard, HeardPacket, PersonInCall
from .server import Voice

__all__ = ["Heard", "HeardPacket", "PersonInCall", "Voice"]
