"""The page in a real browser with the real bot behind it, as `bot.py --playground` starts both."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from playground.model import ModelServer, Script
from tests.bot_process import playground_mode
from tests.browser import Browser, find_chromium

pytestmark = pytest.mark.skipif(
    find_chromium() is None,
    reason="no Chromium found: install one or set CHROMIUM to its path",
)

ANSWER = "Here is an answer that grows under the eyes of whoever asked. " * 10
WATCH_ANSWER = """
window.seen = [];
new MutationObserver(() => {
  const text = document.querySelectorAll('.row .content')[1]?.innerText.trim();
  if (text && text !== seen.at(-1)) seen.push(text);
}).observe(document.body, { subtree: true, childList: true, characterData: true });
"""


async def test_a_typed_question_gets_an_answer_that_is_seen_growing_to_its_end(tmp_path: Path):
    script = Script.of(ANSWER, ttft_s=0.2, tokens_per_s=30)
    async with (
        ModelServer(script) as model,
        playground_mode(tmp_path, OPENAI_BASE_URL=model.base_url, STREAM_UPDATE_INTERVAL="0.5") as (
            _,
            page_url,
        ),
        Browser() as browser,
    ):
        page = await browser.new_page()
        await page.goto(page_url)
        await page.wait_for("document.body.dataset.connected === 'true'")
        await page.evaluate(WATCH_ANSWER)
        await page.type("#composer-input", "What do you see?")
        await page.press("Enter")
        await page.wait_for("document.body.innerText.includes('Stop')")
        await page.wait_for("document.body.innerText.includes('Try again')")
        seen = await page.evaluate("seen")
        assert page.errors == []
    assert seen[-1].removesuffix("(edited)").strip() == ANSWER.strip()
    assert len(seen) >= 3
    assert all(ANSWER.startswith(text.removesuffix("(edited)").strip()) for text in seen)
    assert all(len(earlier) <= len(later) for earlier, later in pairwise(seen))
