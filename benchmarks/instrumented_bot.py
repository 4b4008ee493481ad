"""bot.py with a stopwatch on its event loop, for the benchmarks alone.

Every callback's time is taken; at the end a line of JSON goes to the file named by
$LOOP_REPORT: {"longest_ms": …, "over_20_ms": …, "callbacks": …}. Start-up, up to the first
message, does not count: the benchmark says when by SIGUSR1.
"""

from __future__ import annotations

import asyncio.events
import json
import os
import signal
import sys
import time
from pathlib import Path

longest_s = 0.0
over_20_ms = 0
callbacks = 0
longest_name = ""


def _reset(*_: object) -> None:
    global longest_s, over_20_ms, callbacks, longest_name
    longest_s, over_20_ms, callbacks, longest_name = 0.0, 0, 0, ""


def _timed(run):
    def _run(self):
        global longest_s, over_20_ms, callbacks, longest_name
        began = time.perf_counter()
        run(self)
        took_s = time.perf_counter() - began
        callbacks += 1
        if took_s > longest_s:
            longest_s, longest_name = took_s, repr(self)[:300]
        if took_s > 0.020:
            over_20_ms += 1

    return _run


if __name__ == "__main__":
    asyncio.events.Handle._run = _timed(asyncio.events.Handle._run)  # type: ignore[method-assign]
    signal.signal(signal.SIGUSR1, _reset)
    import bot

    try:
        status = bot.main()
    finally:
        report = {
            "longest_ms": round(longest_s * 1000, 2),
            "over_20_ms": over_20_ms,
            "callbacks": callbacks,
            "longest": longest_name,
        }
        Path(os.environ["LOOP_REPORT"]).write_text(json.dumps(report))
    sys.exit(status)
