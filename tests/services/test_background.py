"""Background tasks in virtual time: none is lost, none fails unheard."""

from __future__ import annotations

import asyncio
import gc

import pytest

from services.background import BackgroundTasks
from tests.fakes.virtual_time import in_virtual_time, now_s


@in_virtual_time
async def test_a_task_runs_to_its_end_though_nobody_holds_it():
    tasks, done = BackgroundTasks(), []

    async def work() -> None:
        await asyncio.sleep(1.0)
        done.append(now_s())

    tasks.start(work(), name="work")
    gc.collect()
    await asyncio.sleep(2.0)
    assert done == [1.0]
    assert not tasks._tasks


@in_virtual_time
async def test_a_failure_is_one_log_record_with_its_name(caplog):
    tasks = BackgroundTasks()

    async def fail() -> None:
        raise ValueError("broken")

    task = tasks.start(fail(), name="warm-up")
    with pytest.raises(ValueError, match="broken"):
        await task
    (record,) = caplog.records
    assert record.message == "background task failed"
    assert vars(record)["task"] == "warm-up"
    assert record.exc_info is not None


@in_virtual_time
async def test_closing_gives_time_then_cancels_and_waits(caplog):
    tasks, ended = BackgroundTasks(), []

    async def work(name: str, takes_s: float) -> None:
        try:
            await asyncio.sleep(takes_s)
            ended.append((name, "done", now_s()))
        except asyncio.CancelledError:
            await asyncio.sleep(0.5)  # its own clean-up
            ended.append((name, "cancelled", now_s()))
            raise

    tasks.start(work("short", 1.0), name="short")
    tasks.start(work("long", 100.0), name="long")
    await tasks.aclose(grace_s=3.0)
    assert ended == [("short", "done", 1.0), ("long", "cancelled", 3.5)]
    assert caplog.records == []
    await tasks.aclose(grace_s=3.0)
    assert now_s() == 3.5
