# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Headless Chromium, driven through its DevTools protocol: https://chromedevtools.github.io/devtools-protocol/."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import urlopen

from lowlat_nodes.stream.errors import MissingExtra

if TYPE_CHECKING:
    from typing_extensions import Self

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_START_S = 60.0
_ANSWER_S = 60.0
_MOST_ERRORS = 100


def installed() -> str | None:
    """Return the path of a Chromium of this machine, or None."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


class Chromium:
    """One browser with one page; as a context manager it is ended on the way out.

    Args:
        width: Of the window, px.
        height: Of the window, px.
        dark: Whether it asks pages for their dark colours.

    Attributes:
        errors: What the page wrote to the console as an error, what it raised and did not catch, and what
            could not be loaded; the first hundred.
        origins: Whom it has asked for anything: scheme, host and port.

    Raises:
        FileNotFoundError: If no Chromium is installed.
        MissingExtra: If websockets is missing.
        TimeoutError: If it does not start within a minute.
    """

    def __init__(self, *, width: int = 1600, height: int = 1000, dark: bool = False) -> None:
        program = installed()
        if program is None:
            raise FileNotFoundError(
                f"no Chromium is installed: expected one of {', '.join(_NAMES)} on the PATH"
            )
        try:
            from websockets.sync.client import connect
        except ImportError as error:
            raise MissingExtra("websockets", "remote") from error
        self.errors: list[str] = []
        self.origins: set[str] = set()
        self._next = 0
        self._profile = Path(tempfile.mkdtemp(prefix="lowlat_chromium_"))
        self._process = subprocess.Popen(
            [
                program,
                "--headless=new",
                "--remote-debugging-port=0",
                f"--user-data-dir={self._profile}",
                f"--window-size={width},{height}",
                "--no-first-run",
                "--disable-gpu",
                "--disable-extensions",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                *(["--no-sandbox"] if os.geteuid() == 0 else []),  # which Chromium has not for root
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._cleanup = ExitStack()
        self._cleanup.callback(self._end)
        try:
            self._socket = self._cleanup.enter_context(
                connect(self._address(), max_size=None, compression=None)
            )
            for domain in ("Page", "Runtime", "Log", "Network", "HeapProfiler"):
                self.send(f"{domain}.enable")
            self.resize(width, height)
            self.colours(dark=dark)
        except BaseException:
            self._cleanup.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def open(self, url: str) -> None:
        """Go to an address, without waiting until it is loaded."""
        self.send("Page.navigate", url=url)

    def resize(self, width: int, height: int) -> None:
        """Make the page as large as this, px."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def colours(self, *, dark: bool) -> None:
        """Ask pages for their dark colours, or for their light ones."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page, a promise's once it is there.

        Raises:
            RuntimeError: If it throws.
        """
        answer = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(_thrown(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def wait(self, condition: str, *, within_s: float = 60.0) -> Any:
        """Return the value of a JavaScript expression as soon as it is true.

        Raises:
            TimeoutError: If it was not within the time.
        """
        ends = time.monotonic() + within_s
        while not (value := self.evaluate(condition)):
            if time.monotonic() > ends:
                raise TimeoutError(f"was not true within {within_s:.0f} s: {condition}")
            time.sleep(0.01)
        return value

    def heap_bytes(self) -> int:
        """Return what the page's JavaScript holds after a full collection."""
        # What the first collection lets go of may hold more: a canvas, a detached element.
        for _ in range(2):
            self.send("HeapProfiler.collectGarbage")
        return int(self.send("Runtime.getHeapUsage")["usedSize"])

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Write the window as PNG, or the whole page."""
        answer = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command of the protocol and return its result; what happens meanwhile is written down."""
        self._next += 1
        number = self._next
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=_ANSWER_S))
            if message.get("id") != number:
                self._note(message)
                continue
            if "error" in message:
                raise RuntimeError(f"{method}: {message['error'].get('message')}")
            result: dict[str, Any] = message["result"]
            return result

    def _note(self, message: dict[str, Any]) -> None:
        match message.get("method"):
            case "Network.requestWillBeSent":
                parts = urlsplit(message["params"]["request"]["url"])
                if parts.scheme not in {"data", "blob", "about"}:
                    self.origins.add(f"{parts.scheme}://{parts.netloc}")
            case "Runtime.exceptionThrown":
                self._error(_thrown(message["params"]["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if message["params"]["type"] in {"error", "assert"}:
                parts_said = (
                    part.get("value", part.get("description")) for part in message["params"]["args"]
                )
                self._error(" ".join(map(str, parts_said)))
            case "Log.entryAdded" if message["params"]["entry"]["level"] == "error":
                entry = message["params"]["entry"]
                self._error(f"{entry['text']} {entry.get('url', '')}".strip())

    def _error(self, text: str) -> None:
        if len(self.errors) < _MOST_ERRORS:
            self.errors.append(text)

    def _address(self) -> str:
        """Return where the page listens, once the browser has written down its port."""
        written = self._profile / "DevToolsActivePort"
        ends = time.monotonic() + _START_S
        while time.monotonic() < ends:
            if self._process.poll() is not None:
                raise RuntimeError(
                    f"Chromium ended with code {self._process.returncode} before it had started"
                )
            if written.exists() and (lines := written.read_text(encoding="utf-8").split()):
                with urlopen(f"http://127.0.0.1:{int(lines[0])}/json/list", timeout=_ANSWER_S) as answer:
                    for target in json.load(answer):
                        if target["type"] == "page":
                            return str(target["webSocketDebuggerUrl"])
            time.sleep(0.05)
        raise TimeoutError(f"Chromium has not started within {_START_S:.0f} s")

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        # Its helpers write a little after it has ended.
        for _ in range(20):
            shutil.rmtree(self._profile, ignore_errors=True)
            if not self._profile.exists():
                break
            time.sleep(0.1)


def _thrown(details: dict[str, Any]) -> str:
    return str(details.get("exception", {}).get("description") or details["text"])
