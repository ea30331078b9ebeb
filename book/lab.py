"""JupyterLab on the start page: python -m book.lab [Jupyter's own arguments] (the same as `make lab`).

    python -m book.lab --no-browser --port 9000

The server's folder is the course's. What JupyterLab should do otherwise than by default (no question about news, no
look for updates, Ctrl-C without a question) stands in the folder jupyter/ beside this file, and what it keeps for the
course (open tabs, trusted notebooks) stays in the virtual environment, so that other projects never meet it.
"""

import json
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from book import start
from minillm import progress
from minillm.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = Path(__file__).resolve().parent / "jupyter"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the start page, then run JupyterLab until Ctrl-C. 2: an error that the user can put right."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):  # a Windows console may not be UTF-8
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    try:
        prepare(ROOT)
    except UserError as error:
        print(f"make lab: {error}", file=sys.stderr)
        return 2
    home = own_folder()
    if home is not None:
        trust(ROOT, home)
    print("正在打开 JupyterLab，Ctrl-C 停止。 Opening JupyterLab; Ctrl-C stops it.", flush=True)
    os.environ.update(environment(ROOT))
    try:
        from jupyterlab.labapp import LabApp

        LabApp.launch_instance(given)
    except KeyboardInterrupt:  # before Jupyter listens for it
        return 130
    return 0


def prepare(root: Path) -> None:
    """Write the start page. UserError: JupyterLab or the map of lessons is missing, the page cannot be written."""
    if find_spec("jupyterlab") is None:
        raise UserError("JupyterLab is not installed: run  python -m pip install -r requirements.txt")
    try:
        store = progress.read()
    except UserError as error:  # the lessons can be opened all the same
        print(error, file=sys.stderr)
        store = {}
    start.write(root, store)


def own_folder() -> Path | None:
    """Where JupyterLab keeps what belongs to the course. None: not in a virtual environment, so in its usual places."""
    if sys.prefix == sys.base_prefix:
        return None
    folder = Path(sys.prefix) / "share" / "minillm"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder


def trust(root: Path, home: Path) -> None:
    """Sign the built notebooks, so that their flip-books move before anything was run. No file is changed."""
    import nbformat
    from nbformat.sign import NotebookNotary

    notary = NotebookNotary(data_dir=str(home))
    for kind in ("notebooks", "solutions"):
        for place in sorted((root / kind).rglob("*.ipynb")):
            try:
                notary.sign(nbformat.from_dict(json.loads(place.read_text(encoding="utf-8"))))
            except (OSError, ValueError, AttributeError):  # damaged: JupyterLab says so when it is opened
                continue


def environment(root: Path) -> dict[str, str]:
    """Variables for the server and its kernels, in front of what is set already."""
    in_front = {"JUPYTER_CONFIG_PATH": str(SETTINGS), "PYTHONPATH": str(root)}
    return {name: os.pathsep.join(filter(None, [value, os.environ.get(name)])) for name, value in in_front.items()}


if __name__ == "__main__":
    raise SystemExit(main())
