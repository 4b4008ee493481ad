"""Virtual time: an event loop whose clock jumps to the next timer when nothing else is left to do.

An hour of sleeping passes at once, and two runs of a test see the same times to the digit.
While a thread works for the loop (`asyncio.to_thread`) time stands still.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

STARTS_AT_S = 1000.0
_LATE_S = 1e-9  # a timer never fires before its time, whatever floating point makes of the sum


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting for a timer it moves the clock on to it."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = STARTS_AT_S
        self.threads_at_work = 0

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(0)
        if events or timeout == 0:
            return events
        if self.threads_at_work:
            return super().select(None)
        if timeout is None:
            raise RuntimeError("nothing is left that could wake the loop: the test would hang")
        self.now_s += timeout + _LATE_S
        return events


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time. `time()` begins at 1,000 s."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        future = super().run_in_executor(executor, func, *args)
        self._jumping.threads_at_work += 1
        future.add_done_callback(self._thread_ended)
        return future

    async def shutdown_default_executor(self, *args: Any) -> None:
        self._jumping.threads_at_work += 1  # a thread waits for the executor's
        try:
            await super().shutdown_default_executor(*args)
        finally:
            self._jumping.threads_at_work -= 1

    def _thread_ended(self, _: object) -> None:
        self._jumping.threads_at_work -= 1


def run_virtual(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(work)


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Let an asynchronous test run in virtual time."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        run_virtual(test(*args, **kwargs))

    return run


def now_s() -> float:
    """Virtual seconds since the loop began, to the microsecond."""
    return round(asyncio.get_running_loop().time() - STARTS_AT_S, 6)
