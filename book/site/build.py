"""The whole build: sources, two sites, the font, the PDFs."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from book.site.chromium import find_chromium
from book.site.font import write_font
from book.site.pdf import print_book
from book.site.sources import assemble
from book.site.words import LANGUAGES

HERE = Path(__file__).resolve().parent


def build(root: Path, out: Path, pdf: bool = True) -> int:
    """Build the sites of the course in root into out/zh and out/en, and the PDFs beside them. Returns an exit code."""
    started = time.monotonic()
    chromium = find_chromium() if pdf else None
    for name in ("src", "zh", "en", "doctrees", "jupyter_execute"):
        shutil.rmtree(out / name, ignore_errors=True)
    assemble(root, out / "src", pdf=chromium is not None)
    if not run_sphinx(out):
        return 1
    write_font([out / language for language in LANGUAGES])
    shutil.copyfile(HERE / "language.html", out / "index.html")
    print(f"The book: {out / 'index.html'}  ({time.monotonic() - started:.0f} s)")
    if chromium:
        for language in LANGUAGES:
            path = out / f"MiniLLM.{language}.pdf"
            print_book(out / language, path, chromium)
            print(f"The book, to print: {path}")
    elif pdf:
        print("No PDF: there is no Chromium or Chrome here (its path can be given in MINILLM_CHROMIUM).")
    return 0


def run_sphinx(out: Path) -> bool:
    """Both languages side by side; any warning is an error, and says where it comes from."""
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent.parent), "PYTHONIOENCODING": "utf-8"}
    processes = {}
    for language in LANGUAGES:
        command = [sys.executable, "-m", "sphinx", "-b", "html", "-c", str(HERE), "-t", language]
        command += ["-q", "-W", "--keep-going", "-d", str(out / "doctrees" / language)]
        command += [str(out / "src" / language), str(out / language)]
        processes[language] = subprocess.Popen(command, env=environment)
    return not any([process.wait() for process in processes.values()])
