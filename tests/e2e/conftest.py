"""One bot process for all tests of a module; a module's `SETTINGS` are the bot's."""

from __future__ import annotations

import pytest_asyncio

from tests.bot_process import Stage


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_stage(request):
    async with Stage(settings=getattr(request.module, "SETTINGS", {})) as stage:
        stage.lift_limits()
        await stage.commands_known()
        yield stage


@pytest_asyncio.fixture(loop_scope="module")
async def stage(shared_stage):
    """The module's stage as a test finds it: nothing asked yet, the first script again."""
    shared_stage.begin()
    return shared_stage
