"""Debian's Chromium, driven by Playwright, and a webcam that films what a test shows it."""

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

import cv2
import numpy as np
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import (
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    expect,
    sync_playwright,
)

from app.recognition.image import Picture
from testbed.missing import Missing
from testbed.photos import picture

PACKAGE = "chromium"
INSECURE_HOST = "service.test"
"""A name of this machine for which browsers do not count as secure what is served without HTTPS."""

_WIDTH, _HEIGHT = 640, 480
_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    f"--host-resolver-rules=MAP {INSECURE_HOST} 127.0.0.1",
)
_HEADER = f"YUV4MPEG2 W{_WIDTH} H{_HEIGHT} F20:1 Ip A1:1 C420jpeg\nFRAME\n".encode()
_REFUSED = "Failed to load resource"  # says nothing but what the service answered
_PATIENCE_MS = 20_000  # other processes use the cores, too


class Webcam:
    """A film of one frame, which the browser reads again for each frame that it needs.

    So a test can change what the camera sees while the page films.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / "webcam.y4m"
        self.file.write_bytes(_HEADER + bytes(_WIDTH * _HEIGHT * 3 // 2))

    def show(self, photo: Path | bytes | Picture | None) -> None:
        """See this photo, as large as it fits into the frame, from now on; None: a grey wall."""
        if isinstance(photo, Path | bytes):
            photo = picture(photo)
        seen = np.full((_HEIGHT, _WIDTH, 3), 128, np.uint8)
        if photo is not None:
            seen = _fitted(photo)
        frame = cv2.cvtColor(seen, cv2.COLOR_RGB2YUV_I420)
        with self.file.open("r+b") as file:
            file.seek(len(_HEADER))
            file.write(frame.tobytes())

    def play(self, frames: Sequence[bytes], lasts_s: float) -> None:
        """See these pictures one after another, each for as long, then go on with the last."""
        began = time.monotonic()
        for number, frame in enumerate(frames):
            self.show(frame)
            time.sleep(max(0, began + (number + 1) * lasts_s / len(frames) - time.monotonic()))


def _fitted(photo: Picture) -> Picture:
    rows, columns = photo.shape[:2]
    scale = min(_HEIGHT / rows, _WIDTH / columns)
    size = round(columns * scale), round(rows * scale)
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    top, left = (_HEIGHT - size[1]) // 2, (_WIDTH - size[0]) // 2
    bottom, right = _HEIGHT - size[1] - top, _WIDTH - size[0] - left
    return np.asarray(
        cv2.copyMakeBorder(small, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(128,) * 3)
    )


class Browser:
    """One Chromium; a context manager that ends it. It reaches no host but this machine.

    folder: where the webcam's film is.
    """

    def __init__(self, folder: Path) -> None:
        self.webcam = Webcam(folder)
        self._path = shutil.which(PACKAGE)
        self._playwright: Playwright
        self._chromium: Chromium

    def __enter__(self) -> Self:
        if not self._path:
            raise Missing(f"{PACKAGE} is missing: apt-get install {PACKAGE}")
        expect.set_options(timeout=_PATIENCE_MS)
        self._playwright = sync_playwright().start()
        film = f"--use-file-for-fake-video-capture={self.webcam.file}"
        try:
            self._chromium = self._launch("--use-fake-device-for-media-stream", film)
        except BaseException:
            self._playwright.stop()
            raise
        return self

    def __exit__(self, *raised: object) -> None:
        self._chromium.close()
        self._playwright.stop()

    def _launch(self, *flags: str) -> Chromium:
        return self._playwright.chromium.launch(executable_path=self._path, args=[*_FLAGS, *flags])

    @contextmanager
    def tab(
        self,
        *,
        may_film: bool = True,
        language: str = "en",
        size: tuple[int, int] = (1280, 900),
        scheme: Literal["light", "dark"] = "light",
    ) -> Iterator["Tab"]:
        """Open a tab that shares nothing with others.

        may_film: whether the person lets pages use the camera. size: in pixels.
        """
        context = self._chromium.new_context(
            locale=language,
            viewport={"width": size[0], "height": size[1]},
            color_scheme=scheme,
        )
        # with any permission granted, all others are refused
        context.grant_permissions(["camera"] if may_film else ["geolocation"])
        try:
            yield Tab(context)
        finally:
            context.close()

    @contextmanager
    def tab_without_camera(self) -> Iterator["Tab"]:
        """Open a tab of another browser, on a machine that has no camera."""
        chromium = self._launch()
        try:
            yield Tab(chromium.new_context(locale="en", permissions=["camera"]))
        finally:
            chromium.close()


class Tab:
    """A tab, and what went wrong or over the wire in it.

    page: Playwright's. requested: addresses of all requests. faults: what the browser's log says
    is wrong, broken policies included, and exceptions that nobody caught.
    clicks: how often `click` was called.
    """

    def __init__(self, context: BrowserContext) -> None:
        context.set_default_timeout(_PATIENCE_MS)
        self.page: Page = context.new_page()
        self.requested: list[str] = []
        self.faults: list[str] = []
        self.clicks = 0
        self.page.on("request", lambda request: self.requested.append(request.url))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self._note)

    def _note(self, said: ConsoleMessage) -> None:
        if said.type in ("error", "warning") and not said.text.startswith(_REFUSED):
            self.faults.append(said.text)

    def open(self, address: str) -> Page:
        """Go to an address; return the page."""
        self.page.goto(address)
        return self.page

    def click(self, name: str) -> None:
        """Click the button of that name, when it can be clicked; count the click."""
        self.page.get_by_role("button", name=name, exact=True).click()
        self.clicks += 1

    @property
    def hosts(self) -> set[str]:
        """The hosts and ports of all requests."""
        return {urlsplit(address).netloc for address in self.requested}
