"""Cells of a notebook as dictionaries, the way they stand in its file."""

from typing import Any

Cell = dict[str, Any]


def markdown_cell(key: str, text: str) -> Cell:
    return {"cell_type": "markdown", "id": key, "metadata": {}, "source": text}


def source(cell: Cell) -> str:
    """A cell's text; notebook files hold it as one string or as a list of lines."""
    return cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
