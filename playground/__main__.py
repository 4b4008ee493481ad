"""`python -m playground`: serve a playground until SIGINT, SIGTERM or the end of stdin.

Once it listens, exactly one line of JSON goes to stdout: where the page, the API, the
gateway and the demo model are, the token to log in with, and the certificate of the voice
gateway. A line of JSON on stdin,
{"notice": "..."}, changes the line on top of the page.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable

from .demo import demo_app
from .seed import CHAT_ID
from .server import Playground

log = logging.getLogger(__name__)

_MAX_LINE_BYTES = 64 * 1024


async def serve(*, port: int, token: str, notice: str | None) -> None:
    """Serve on `port`, or on a free one where that is taken, until told to stop."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    _stop_on_signals(loop, stop)
    playground = Playground(port=port, token=token, notice=notice, model_app=demo_app())
    async with playground:
        _watch_stdin(
            on_line=lambda line: loop.call_soon_threadsafe(_take_line, playground, line),
            on_end=lambda: loop.call_soon_threadsafe(stop.set),
        )
        print(json.dumps(_description(playground)), flush=True)
        await stop.wait()


def _description(playground: Playground) -> dict[str, str | None]:
    return {
        "page_url": playground.page_url,
        "api_url": playground.api_url,
        "gateway_url": playground.gateway_url,
        "token": playground.token,
        "model_base_url": playground.model_base_url,
        "chat_channel_id": CHAT_ID,
        "certificate": playground.voice.certificate.pem,
        "owner_id": playground.world.owner["id"],
    }


def _take_line(playground: Playground, line: bytes) -> None:
    try:
        command = json.loads(line)
        notice = command["notice"]
    except (ValueError, KeyError, TypeError):
        log.warning("line on stdin ignored: not a JSON object with a notice")
        return
    playground.set_notice(None if notice is None else str(notice))


def _stop_on_signals(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))


def _watch_stdin(*, on_line: Callable[[bytes], object], on_end: Callable[[], object]) -> None:
    """Read stdin in a thread that the process does not wait for.

    It reads the descriptor itself: a buffered reader's lock, held at the interpreter's
    end, would be fatal.
    """

    def read() -> None:
        pending = b""
        try:
            while chunk := os.read(0, 4096):
                *lines, pending = (pending + chunk).split(b"\n")
                pending = pending[-_MAX_LINE_BYTES:]
                for line in lines:
                    on_line(line)
        except OSError:
            pass  # a closed stdin is its end
        try:
            on_end()
        except RuntimeError:
            pass  # the loop is closed: the process is ending anyway

    if sys.stdin is not None:
        threading.Thread(target=read, name="stdin", daemon=True).start()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m playground", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="default, or if taken: a free one")
    port = parser.parse_args().port
    if not 0 <= port <= 65_535:
        parser.error("--port takes a number from 0 to 65535")
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    asyncio.run(
        serve(
            port=port,
            token=os.environ.get("PLAYGROUND_TOKEN") or secrets.token_urlsafe(24),
            notice=os.environ.get("PLAYGROUND_NOTICE") or None,
        )
    )


if __name__ == "__main__":
    main()
