"""Make docs/playground.png: the real bot on the playground, in a real browser.

    python docs/make_screenshot.py

Needs a Chromium in PATH (or in $CHROMIUM). Starts the bot with its demo model, calls it into a
voice channel, has a short conversation as Alice, and takes the picture at 1280 by 800.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.browser import Browser, Page  # noqa: E402

PICTURE = ROOT / "docs" / "playground.png"
QUESTIONS = ("hello!", "Write a Python function for the Fibonacci numbers")
CHAT = "a.entry"  # the first channel of the list
START_TIMEOUT_S = 60.0
REPLY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0

_QUIET = """
new Promise((resolve) => {
  let timer = 0;
  const again = () => { clearTimeout(timer); timer = setTimeout(resolve, 3000); };
  new MutationObserver(again).observe(document.getElementById('messages'), {
    subtree: true, childList: true, characterData: true });
  again();
})
"""


@asynccontextmanager
async def running_bot() -> AsyncIterator[str]:
    """The bot on a playground with its demo model and empty data; yields the page's address."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        settings = {
            "OPENAI_API_KEY": "",
            "OPENAI_BASE_URL": "",
            "DATA_DIR": str(data / "data"),
            "HISTORY_DIR": str(data / "data" / "history"),
            "TEMP_DIR": str(data / "temp"),
            "TTS_PROVIDER": "espeak",
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "bot.py",
            "--playground",
            "--port",
            "0",
            cwd=ROOT,
            env={**os.environ, **settings},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            address = await asyncio.wait_for(read_address(process), START_TIMEOUT_S)
            draining = asyncio.create_task(drain(process), name="bot output")
            yield address
            draining.cancel()
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
            except TimeoutError:
                process.kill()
                await process.wait()


async def read_address(process: asyncio.subprocess.Process) -> str:
    """The page's address, from the bot's own output."""
    assert process.stdout is not None
    said = []
    async for line in process.stdout:
        text = line.decode(errors="replace")
        said.append(text)
        if found := re.search(r"http://127\.0\.0\.1:\d+/(?!\w)", text):
            return found[0]
    raise SystemExit(f"The bot ended before it told its address:\n{''.join(said)}")


async def drain(process: asyncio.subprocess.Process) -> None:
    assert process.stdout is not None
    while await process.stdout.read(65536):
        pass


async def ask(page: Page, question: str) -> None:
    """Ask as Alice and wait until the bot's answer has stopped changing."""
    answers = "[...document.querySelectorAll('.row')].filter((r) => r.querySelector('.tag')).length"
    before = await page.evaluate(answers)
    await page.type("#composer-input", question)
    await page.press("Enter")
    await page.wait_for(f"{answers} > {before}", timeout_s=REPLY_TIMEOUT_S)
    await page.evaluate(_QUIET, timeout_s=REPLY_TIMEOUT_S)


async def main() -> None:
    async with running_bot() as address, Browser() as browser:
        page = await browser.new_page(width=1280, height=800, dark=True)
        await page.goto(address)
        await page.wait_for("document.getElementById('bot-state').classList.contains('online')")
        await page.click("[data-join]")
        await page.wait_for("!document.getElementById('voice-bar').hidden")
        await page.click(CHAT)
        await page.wait_for(f"document.querySelector('{CHAT}').hasAttribute('aria-current')")
        await ask(page, "/join")
        await page.wait_for("document.querySelectorAll('.caller').length > 1")
        for question in QUESTIONS:
            await ask(page, question)
        await page.click("#notice-close")
        await page.move_to(0, 0)
        PICTURE.write_bytes(await page.screenshot())
    print(PICTURE.relative_to(ROOT))


if __name__ == "__main__":
    asyncio.run(main())
