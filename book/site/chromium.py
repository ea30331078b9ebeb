"""The browser that prints the PDFs and runs the tests: Chromium or Chrome, wherever it is."""

import os
import shutil
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Google/Chrome/Application/chrome.exe",
)
ARGUMENTS = ["--no-sandbox"]  # in a container there is no sandbox; the pages are our own


def find_chromium() -> str | None:
    """The path of the browser's program; None if there is none, or no playwright to steer it with."""
    try:
        import playwright  # noqa: F401
    except ImportError:
        return None
    if given := os.environ.get("MINILLM_CHROMIUM"):
        return given
    found = next(filter(None, map(shutil.which, NAMES)), None)
    return found or next((place for place in PLACES if Path(place).is_file()), None)
