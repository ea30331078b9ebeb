"""The course in a real JupyterLab and a real browser: what test_lab_browser.py does with both hands."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from processes import ENV, ROOT

COURSE = ("book", "exercises", "minillm", "notebooks", "solutions")
WAIT = 120  # seconds for anything, on a busy machine
CURRENT = "window.jupyterapp?.shell.currentWidget"


def copy_course(folder: Path) -> Path:
    """What the lab needs of the course, in a folder where it may be written to."""
    for name in COURSE:
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "_build", "start.ipynb")
        )
    return folder


class Lab:
    """`python -m book.lab`, started as a learner does, but with a home of its own. A context manager."""

    def __init__(self, course: Path, home: Path, terminal: int = subprocess.DEVNULL) -> None:
        self.course, self.runtime, self.log = course, home / "runtime", home / "server.log"
        self.runtime.mkdir(parents=True)
        self.env = {
            **ENV,
            "PYTHONPATH": "",  # the lab finds the course by itself
            "HOME": str(home),
            "JUPYTER_RUNTIME_DIR": str(self.runtime),
            "MINILLM_PROGRESS": str(home / "progress.json"),
        }
        self.terminal = terminal
        tabs = f"--LabApp.workspaces_dir={home / 'tabs'}"  # none from an earlier test
        self.arguments = ["--no-browser", f"--port={free_port()}", "--LabApp.expose_app_in_browser=True", tabs]

    def __enter__(self) -> "Lab":
        with self.log.open("wb") as log:
            command = [sys.executable, "-m", "book.lab", *self.arguments]
            # Tests that are started in the background ignore Ctrl-C, and so would their children.
            hears = None if os.name == "nt" else lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
            self.process = subprocess.Popen(
                command, cwd=self.course, env=self.env, stdin=self.terminal, stdout=log, stderr=log, preexec_fn=hears
            )
        until(lambda: self.answers or self.process.poll() is not None)
        assert self.info, self.said()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> int:
        """Ctrl-C, once. The exit code."""
        if self.process.poll() is None:
            self.process.terminate() if os.name == "nt" else self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(60)
        finally:
            self.process.kill()

    @property
    def info(self) -> dict[str, Any]:
        """What the running server says of itself: url, token, ..."""
        for file in self.runtime.glob("jpserver-*.json"):
            try:
                return json.loads(file.read_text(encoding="utf-8"))
            except ValueError:  # being written
                continue
        return {}

    @property
    def answers(self) -> bool:
        """Whether the server takes requests: it writes down its address a moment before."""
        try:
            with socket.create_connection(("localhost", self.info.get("port", 0)), timeout=1):
                return True
        except OSError:
            return False

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")


class Notebook:
    """The notebook in front, seen and used by a person, and asked for what it holds."""

    def __init__(self, page: Any, path: str) -> None:
        self.page, self.path = page, path
        page.wait_for_function(
            f"() => {CURRENT}?.context?.path === '{path}' && {CURRENT}.context.isReady", timeout=WAIT * 1e3
        )
        self.panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
        self.wait_until_idle()  # to run cells before that opens a dialog

    def wait_until_idle(self) -> None:
        """The kernel is there, and no cell waits for it."""
        self.page.wait_for_function(
            f"""() => {CURRENT}.sessionContext.session?.kernel?.status === 'idle' &&
                {CURRENT}.content.widgets.every(cell => (cell.model.executionState ?? 'idle') === 'idle')""",
            timeout=WAIT * 1e3,
        )

    def restart_and_run_all(self) -> None:
        """Through the menu and its question."""
        self.page.get_by_role("menuitem", name="Kernel", exact=True).click()
        self.page.get_by_role("menuitem", name="Restart Kernel and Run All Cells").click()
        self.page.get_by_role("button", name="Confirm Kernel Restart").click()
        self.page.wait_for_function(
            f"() => {CURRENT}.content.widgets.some(cell => cell.model.executionState === 'running')", timeout=WAIT * 1e3
        )
        self.wait_until_idle()

    def cell(self, key: str) -> Any:
        """The cell of this id, scrolled into view."""
        self.page.evaluate(
            f"""key => {{ const book = {CURRENT}.content;
                const index = book.widgets.findIndex(cell => cell.model.id === key);
                book.activeCellIndex = index; return book.scrollToItem(index, 'start'); }}""",
            key,
        )
        return self.panel.locator(".jp-Cell.jp-mod-active")

    def write_and_run(self, key: str, code: str) -> Any:
        """Replace the code of a cell by hand, run it and the next one; the latter's output."""
        self.cell(key).locator(".cm-content").click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(code)
        self.page.keyboard.press("Shift+Enter")
        self.page.keyboard.press("Shift+Enter")
        self.wait_until_idle()
        return self.cell(f"{key.removesuffix('-code')}-check").locator(".jp-OutputArea-output")

    def code_cells(self) -> list[dict[str, Any]]:
        """As they are now, in the notebook format."""
        cells = self.page.evaluate(f"() => {CURRENT}.context.model.toJSON().cells")
        return [cell for cell in cells if cell["cell_type"] == "code"]

    def errors(self) -> list[str]:
        outputs = [output for cell in self.code_cells() for output in cell["outputs"]]
        return [f"{output['ename']}: {output['evalue']}" for output in outputs if output["output_type"] == "error"]

    @property
    def changed(self) -> bool:
        """Whether JupyterLab would ask to save it."""
        return self.page.evaluate(f"() => {CURRENT}.context.model.dirty")


def open_start_page(page: Any, lab: Lab) -> Notebook:
    """Where the lab sends a browser that opens its address."""
    page.goto(f"{lab.info['url']}?token={lab.info['token']}", timeout=WAIT * 1e3)
    return Notebook(page, "notebooks/start.ipynb")


def free_port() -> int:
    """A port for the moment; should another program take it meanwhile, Jupyter goes on to the next."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(done: Any) -> None:
    """Wait until done() is true, or the time is up."""
    end = time.monotonic() + WAIT
    while not done() and time.monotonic() < end:
        time.sleep(0.1)
