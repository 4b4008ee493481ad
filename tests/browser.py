"""A headless Chromium over the DevTools protocol, for tests and for the screenshot.

    async with Browser() as browser:
        page = await browser.new_page()
        await page.goto("http://127.0.0.1:8000/")
        await page.type("textarea", "hello")
        await page.wait_for("document.body.innerText.includes('hello')")

Nothing waits for time: `wait_for` ends with the change in the page that makes its condition
true. What the page reports as an error is kept in `Page.errors`.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from typing import Any, Self

import aiohttp

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
_START_TIMEOUT_S = 60.0
_CALL_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 10.0

_WAIT = """
new Promise((resolve, reject) => {{
  const met = () => {{ try {{ return {condition}; }} catch {{ return false; }} }};
  if (met()) return resolve(true);
  const done = (end, value) => {{
    observer.disconnect();
    clearInterval(poll);
    clearTimeout(limit);
    end(value);
  }};
  const look = () => met() && done(resolve, true);
  const observer = new MutationObserver(look);
  observer.observe(document, {{
    subtree: true, childList: true, characterData: true, attributes: true }});
  const poll = setInterval(look, 100);
  const limit = setTimeout(() => done(reject, new Error('not met in time')), {timeout_ms});
}})
"""

_KEYS = {
    "Enter": ("Enter", 13, "\r"),
    "Tab": ("Tab", 9, ""),
    "Escape": ("Escape", 27, ""),
    "ArrowUp": ("ArrowUp", 38, ""),
    "ArrowDown": ("ArrowDown", 40, ""),
}
_SHIFT = 8


class BrowserError(Exception):
    """The browser, or the page in it, refused a command."""


def find_chromium() -> str | None:
    """The path of a Chromium, from $CHROMIUM or PATH; None where there is none."""
    named = os.environ.get("CHROMIUM")
    candidates = (named, *_NAMES) if named else _NAMES
    return next((path for name in candidates if (path := shutil.which(name))), None)


class Browser:
    """One Chromium process with a profile of its own, gone at the end."""

    def __init__(self, path: str | None = None) -> None:
        self._path = path or find_chromium()
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._pages: dict[str, Page] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        if self._path is None:
            raise BrowserError("no Chromium was found; set CHROMIUM to its path")
        self._profile = tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True)
        self._process = await asyncio.create_subprocess_exec(
            self._path,
            *_FLAGS,
            f"--user-data-dir={self._profile.name}",
            "about:blank",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        self._http = aiohttp.ClientSession()
        try:
            address = await asyncio.wait_for(self._read_address(), _START_TIMEOUT_S)
            self._socket = await self._http.ws_connect(address, max_msg_size=0)
        except BaseException:
            await self._stop()
            raise
        self._tasks.append(asyncio.create_task(self._read_frames(), name="browser frames"))
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self.call("Browser.close")
        except (BrowserError, TimeoutError):
            pass  # It is stopped by force below.
        await self._stop()

    async def _stop(self) -> None:
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_TIMEOUT_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.close()
        self._profile.cleanup()

    async def _read_address(self) -> str:
        """Chromium tells its DevTools address on stderr, which is read on for ever after."""
        assert self._process.stderr is not None
        said = []
        async for line in self._process.stderr:
            text = line.decode(errors="replace")
            said.append(text)
            if found := re.search(r"DevTools listening on (ws://\S+)", text):
                self._tasks.append(asyncio.create_task(self._drain(), name="browser stderr"))
                return found[1]
        raise BrowserError(f"Chromium ended at its start: {''.join(said)[-500:]}")

    async def _drain(self) -> None:
        assert self._process.stderr is not None
        while await self._process.stderr.read(65536):
            pass

    async def _read_frames(self) -> None:
        async for frame in self._socket:
            data = json.loads(frame.data)
            if "id" in data:
                if waiting := self._waiting.pop(data["id"], None):
                    waiting.set_result(data)
            elif page := self._pages.get(data.get("sessionId", "")):
                page._event(data["method"], data["params"])
        for waiting in self._waiting.values():
            waiting.set_exception(BrowserError("the browser is gone"))

    async def call(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        session_id: str | None = None,
        timeout_s: float = _CALL_TIMEOUT_S,
    ) -> dict[str, Any]:
        """One DevTools command and its result."""
        frame: dict[str, Any] = {"id": next(self._ids), "method": method, "params": params or {}}
        if session_id:
            frame["sessionId"] = session_id
        waiting: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[frame["id"]] = waiting
        await self._socket.send_json(frame)
        answer = await asyncio.wait_for(waiting, timeout_s)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    async def new_page(
        self, *, width: int = 1280, height: int = 800, scale: float = 1, dark: bool = False
    ) -> Page:
        """A page in a browser context of its own: no storage is shared with other pages."""
        context = await self.call("Target.createBrowserContext")
        target = await self.call(
            "Target.createTarget",
            {"url": "about:blank", "browserContextId": context["browserContextId"]},
        )
        attached = await self.call(
            "Target.attachToTarget", {"targetId": target["targetId"], "flatten": True}
        )
        page = Page(self, attached["sessionId"])
        self._pages[attached["sessionId"]] = page
        for domain in ("Page", "Runtime", "Log", "Network"):
            await page.call(f"{domain}.enable")
        await page.resize(width, height, scale=scale)
        await page.prefer(dark=dark)
        return page


class Page:
    """One tab. `errors` holds everything that the page's console shows as an error."""

    def __init__(self, browser: Browser, session_id: str) -> None:
        self._browser = browser
        self._session_id = session_id
        self._listeners: dict[str, list[Callable[[dict[str, Any]], None]]] = {}
        self.errors: list[str] = []

    async def call(
        self, method: str, params: dict[str, Any] | None = None, timeout_s: float = _CALL_TIMEOUT_S
    ) -> dict[str, Any]:
        return await self._browser.call(
            method, params, session_id=self._session_id, timeout_s=timeout_s
        )

    def _event(self, method: str, params: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            text = details.get("exception", {}).get("description", details["text"])
            self.errors.append(text)
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
            self.errors.append(" ".join(str(arg.get("value")) for arg in params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        for listener in self._listeners.pop(method, []):
            listener(params)

    async def goto(self, url: str) -> None:
        """Open an address and wait until its page has loaded."""
        loaded = asyncio.Event()
        self._listeners.setdefault("Page.loadEventFired", []).append(lambda _: loaded.set())
        answer = await self.call("Page.navigate", {"url": url})
        if error := answer.get("errorText"):
            raise BrowserError(f"{url}: {error}")
        if "loaderId" in answer:  # else only the fragment changed, and nothing is loaded
            await asyncio.wait_for(loaded.wait(), _CALL_TIMEOUT_S)

    async def evaluate(self, expression: str, *, timeout_s: float = _CALL_TIMEOUT_S) -> Any:
        """The value of a JavaScript expression; a promise is awaited."""
        answer = await self.call(
            "Runtime.evaluate",
            {
                "expression": expression,
                "awaitPromise": True,
                "returnByValue": True,
                "userGesture": True,
            },
            timeout_s=timeout_s,
        )
        if failure := answer.get("exceptionDetails"):
            text = failure.get("exception", {}).get("description", failure["text"])
            raise BrowserError(f"{expression.strip()[:200]}: {text}")
        return answer["result"].get("value")

    async def wait_for(self, condition: str, *, timeout_s: float = 20.0) -> None:
        """Wait until a JavaScript condition holds, looked at on every change of the page."""
        try:
            await self.evaluate(
                _WAIT.format(condition=condition, timeout_ms=int(timeout_s * 1000)),
                timeout_s=timeout_s + _CALL_TIMEOUT_S,
            )
        except BrowserError as error:
            seen = await self.evaluate("document.body.innerText.slice(-1500)")
            raise AssertionError(
                f"never true: {condition}\n{error}\nerrors: {self.errors}\n"
                f"the page ends with:\n{seen}"
            ) from None

    async def text(self, selector: str) -> str:
        """The visible text of the first element that matches."""
        found = await self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText")
        return str(found or "")

    async def click(self, selector: str) -> None:
        """A real click on the middle of the first element that matches, once it is there."""
        query = f"document.querySelector({json.dumps(selector)})"
        await self.wait_for(f"{query} && !{query}.disabled")
        await self.evaluate(f"{query}.scrollIntoView({{block: 'nearest'}})")
        x, y = await self.evaluate(
            f"(() => {{ const r = {query}.getBoundingClientRect();"
            " return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        await self.move_to(x, y)
        for kind in ("mousePressed", "mouseReleased"):
            await self.call(
                "Input.dispatchMouseEvent",
                {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1},
            )

    async def hover(self, selector: str) -> None:
        query = f"document.querySelector({json.dumps(selector)})"
        await self.wait_for(query)
        x, y = await self.evaluate(
            f"(() => {{ const r = {query}.getBoundingClientRect();"
            " return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        await self.move_to(x, y)

    async def move_to(self, x: float, y: float) -> None:
        await self.call("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x, "y": y})

    async def type(self, selector: str, text: str) -> None:
        """Focus an element and type into it."""
        query = f"document.querySelector({json.dumps(selector)})"
        await self.wait_for(query)
        await self.evaluate(f"{query}.focus()")
        await self.call("Input.insertText", {"text": text})

    async def press(self, key: str, *, shift: bool = False) -> None:
        """Press a named key where the focus is."""
        name, code, text = _KEYS[key]
        event = {
            "key": name,
            "code": name,
            "windowsVirtualKeyCode": code,
            "modifiers": _SHIFT if shift else 0,
        }
        await self.call("Input.dispatchKeyEvent", {"type": "keyDown", "text": text, **event})
        await self.call("Input.dispatchKeyEvent", {"type": "keyUp", **event})

    async def choose_files(self, selector: str, paths: list[str]) -> None:
        """Put files into a file field, as its dialog would."""
        document = await self.call("DOM.getDocument")
        node = await self.call(
            "DOM.querySelector",
            {"nodeId": document["root"]["nodeId"], "selector": selector},
        )
        await self.call("DOM.setFileInputFiles", {"files": paths, "nodeId": node["nodeId"]})

    async def resize(self, width: int, height: int, *, scale: float = 1) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            {
                "width": width,
                "height": height,
                "deviceScaleFactor": scale,
                "mobile": width < 600,
            },
        )

    async def prefer(self, *, dark: bool) -> None:
        """What the system would tell the page about light and dark."""
        scheme = "dark" if dark else "light"
        await self.call(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )

    async def screenshot(self) -> bytes:
        """The visible part as PNG."""
        answer = await self.call("Page.captureScreenshot", {"format": "png"})
        return base64.b64decode(answer["data"])
