"""Run a notebook in a clean kernel, and bring its outputs into a form that only changes when the code does."""

import os
import tempfile
from copy import deepcopy
from pathlib import Path
from typing import Any

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from minillm.widgets import VIEW

SECONDS = 900  # for one cell; nobody waits longer for a lesson


class Failed(RuntimeError):
    """A cell that did not run. `key` names it, the message is the exception in one line."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


def execute(notebook: NotebookNode, folder: Path) -> dict[str, list[NotebookNode]]:
    """The outputs of each code cell by its key. The notebook is left as it is.

    The kernel starts in `folder`, where the notebook will lie. A learner's progress is not touched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    running = deepcopy(notebook)
    at = [""]

    def begins(cell: NotebookNode, **_: Any) -> None:
        at[0] = cell.id

    client = NotebookClient(
        running,
        timeout=SECONDS,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],  # the kernel's own advice on transports is no part of a lesson
        record_timing=False,
        coalesce_streams=True,
        store_widget_state=False,
        resources={"metadata": {"path": str(folder)}},
        on_cell_start=begins,
    )
    with tempfile.TemporaryDirectory() as scratch:
        environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
        environment["MINILLM_PROGRESS"] = str(Path(scratch) / "progress.json")
        try:
            client.execute(env=environment)
        except CellExecutionError as error:
            raise Failed(at[0], f"{error.ename}: {error.evalue}".strip().splitlines()[0]) from error
        except CellTimeoutError as error:
            raise Failed(at[0], f"it did not end within {SECONDS} s") from error
        except DeadKernelError as error:
            raise Failed(at[0], "the kernel died") from error
    return {cell.id: normal(cell.outputs) for cell in running.cells if cell.cell_type == "code"}


def normal(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Without what differs from run to run: live widgets, timing."""
    result = []
    for output in outputs:
        output = NotebookNode(output)
        if "data" in output:
            output.data = NotebookNode({mime: value for mime, value in output.data.items() if mime != VIEW})
            if not output.data:
                continue
            output.metadata = NotebookNode(output.get("metadata", {}))
        result.append(output)
    return result


def put(notebook: NotebookNode, outputs: dict[str, list[NotebookNode]]) -> None:
    """Write outputs into a rendered notebook, cells numbered in order. The set-up cell's depend on the machine."""
    number = 0
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        number += 1
        cell.execution_count = number
        cell.outputs = [] if cell.id == "setup" else [NotebookNode(output) for output in outputs.get(cell.id, [])]
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = number


def outputs_of(notebook: NotebookNode) -> dict[str, list[NotebookNode]]:
    return {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
