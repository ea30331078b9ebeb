"""A real browser for tests: `from browser import chromium  # noqa: F401` brings the fixture into a test file."""

from collections.abc import Iterator
from typing import Any

import pytest

from book.site.chromium import ARGUMENTS, find_chromium


@pytest.fixture(scope="module")  # no wider: while playwright runs, its event loop would be in the way of other tests
def chromium() -> Iterator[Any]:
    """A playwright browser. Skips where there is no playwright, or no Chromium or Chrome."""
    playwright = pytest.importorskip("playwright.sync_api")
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium or Chrome (MINILLM_CHROMIUM can name one)")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


def watch(page: Any, home: str) -> list[str]:
    """A list that fills with what goes wrong in a page: errors, failed requests, requests to anywhere but home."""
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
    page.on("console", lambda message: message.type == "error" and troubles.append(f"console: {message.text}"))
    page.on("requestfailed", lambda request: troubles.append(f"failed: {request.url}"))
    page.on("response", lambda reply: reply.status >= 400 and troubles.append(f"{reply.status}: {reply.url}"))

    def outside(request: Any) -> None:
        if not request.url.startswith((home, "data:", "blob:")):
            troubles.append(f"outside: {request.url}")

    page.on("request", outside)
    return troubles
