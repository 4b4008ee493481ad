"""A Discord of its own on the loopback: REST, gateway and a web page to talk in.

Real clients connect to it with no other change than two addresses. Everything is in
memory, and it listens on 127.0.0.1 alone.
"""

from .errors import Refusal
from .human import Human
from .limits import Limits, Rate
from .rest import RequestRecord
from .server import Playground
from .world import Event

__all__ = ["Event", "Human", "Limits", "Playground", "Rate", "Refusal", "RequestRecord"]
