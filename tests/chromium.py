"""A headless Chromium, driven through its DevTools protocol: what a reader's browser makes of a page.

    python -m tests.chromium PAGE [FOLDER]

writes screenshots of the page on a wide and on a narrow screen, and its print as PDF, and says what went wrong.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tornado.httpclient import AsyncHTTPClient
from tornado.ioloop import IOLoop
from tornado.websocket import WebSocketClientConnection, websocket_connect

WIDE, NARROW = (1440, 900), (380, 800)
"""Sizes of screens [CSS pixel]."""


def executable() -> str | None:
    """The browser of this machine; None where there is none."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Chromium:
    """One page in one browser; use as a context manager.

    Args:
        page: file that is opened.
        size: of the screen.

    Attributes:
        complaints: errors and warnings of the console, exceptions and failed requests.
        requests: addresses that the page asked for.
    """

    def __init__(self, page: Path, size: tuple[int, int] = WIDE, *, scripts: bool = True) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._page, self._size, self._scripts, self._count = page, size, scripts, 0
        self._loop = IOLoop(make_current=False)
        self._folder = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        self._socket: WebSocketClientConnection | None = None

    def __enter__(self) -> Self:
        browser = executable()
        assert browser is not None
        options = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--remote-debugging-port=0",
            "--no-first-run",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
        ]
        self._process = subprocess.Popen(
            [browser, *options, f"--user-data-dir={self._folder.name}", "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        port = self._port()
        targets = json.loads(self._run(lambda: AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/json/list")).body)
        target = next(t for t in targets if t["type"] == "page")
        self._socket = self._run(lambda: websocket_connect(target["webSocketDebuggerUrl"], max_message_size=200_000_000))
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        self.send("Emulation.setDeviceMetricsOverride", width=self._size[0], height=self._size[1], deviceScaleFactor=1, mobile=False)
        self.send("Emulation.setScriptExecutionDisabled", value=not self._scripts)
        self.send("Page.navigate", url=self._page.resolve().as_uri())
        self.wait("location.href != 'about:blank' && document.readyState == 'complete'")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._socket is not None:
            self._socket.close()
        self._process.terminate()
        self._process.wait(20)
        self._loop.close()
        self._folder.cleanup()

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask the browser and wait for its answer; what it tells meanwhile is noted."""
        self._count += 1
        socket = self._socket
        assert socket is not None
        self._run(lambda: socket.write_message(json.dumps({"id": self._count, "method": method, "params": parameters})))
        while True:
            told = json.loads(self._run(socket.read_message))
            if told.get("id") == self._count:
                assert "error" not in told, f"{method}: {told['error']}"
                return dict(told["result"])
            self._note(told)

    def value(self, expression: str) -> Any:
        """What an expression is in the page."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, expression: str, seconds: float = 30.0) -> None:
        """Wait until an expression is true in the page."""
        end = time.monotonic() + seconds
        while not self.value(expression):
            assert time.monotonic() < end, f"not true within {seconds} s: {expression}; {self.complaints}"
            time.sleep(0.1)

    def key(self, name: str, code: int, text: str = "") -> None:
        """Press a key."""
        pressed = {"key": name, "code": name, "windowsVirtualKeyCode": code} | ({"text": text} if text else {})
        self.send("Input.dispatchKeyEvent", type="keyDown", **pressed)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=name, code=name, windowsVirtualKeyCode=code)

    def point(self, x: float, y: float, *, click: bool = False) -> None:
        """Move the mouse to a place of the screen."""
        self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased") * click:
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Keep a picture of the screen, or of the whole page."""
        size = self.send("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}} if whole else {}
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", captureBeyondViewport=whole, **clip)["data"]))

    def pdf(self, path: Path) -> None:
        """Keep the print."""
        path.write_bytes(base64.b64decode(self.send("Page.printToPDF", preferCSSPageSize=True, printBackground=False)["data"]))

    def _note(self, told: dict[str, Any]) -> None:
        what = told.get("params", {})
        match told.get("method"):
            case "Runtime.exceptionThrown":
                self.complaints.append(str(what["exceptionDetails"].get("exception", what["exceptionDetails"]).get("description", what)))
            case "Runtime.consoleAPICalled" if what["type"] in ("error", "warning", "assert"):
                self.complaints.append(" ".join(str(a.get("value", a.get("description"))) for a in what["args"]))
            case "Log.entryAdded" if what["entry"]["level"] in ("error", "warning"):
                self.complaints.append(what["entry"]["text"])
            case "Network.loadingFailed":
                self.complaints.append(f"request failed: {what['errorText']}")
            case "Network.requestWillBeSent":
                self.requests.append(what["request"]["url"])

    def _port(self) -> int:
        known, end = Path(self._folder.name) / "DevToolsActivePort", time.monotonic() + 60
        while not (known.is_file() and known.read_text().strip()):
            assert self._process.poll() is None, "the browser ended at once"
            assert time.monotonic() < end, "the browser did not start within 60 s"
            time.sleep(0.05)
        return int(known.read_text().splitlines()[0])

    def _run(self, begin: Callable[[], Any]) -> Any:
        async def awaited() -> Any:
            return await begin()

        return self._loop.run_sync(awaited, timeout=120)


def look_at(page: Path, folder: Path) -> list[str]:
    """Screenshots and print of a page; returns what went wrong."""
    found = []
    for name, size in (("wide", WIDE), ("narrow", NARROW)):
        with Chromium(page, size) as browser:
            browser.wait("!document.querySelector('script.live-data') || document.documentElement.classList.contains('live')")
            time.sleep(1.5)
            browser.screenshot(folder / f"{name}.png", whole=True)
            across = browser.value("document.documentElement.scrollWidth")
            found += [*browser.complaints, *([f"{name}: the page is {across} pixels wide"] if across > size[0] else [])]
            found += [url for url in browser.requests if not url.startswith(("file:", "data:", "blob:"))]
            if name == "wide":
                browser.pdf(folder / "print.pdf")
    return found


if __name__ == "__main__":
    into = Path(sys.argv[2]) if len(sys.argv) > 2 else Path()
    into.mkdir(parents=True, exist_ok=True)
    print("\n".join(look_at(Path(sys.argv[1]), into)) or "nothing wrong")
