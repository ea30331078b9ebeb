"""Who may know whom: the rules of the house, read from the source."""

import ast
import sys

import pytest

from conftest import ROOT

PACKAGE = ROOT / "minillm"
FILES = sorted(PACKAGE.rglob("*.py"))
OPTIONAL = {"torch", "matplotlib", "jieba", "tqdm", "zhplot", "transformers", "tokenizers"}
CORE = {"numpy", "safetensors", "threadpoolctl", "minillm", *sys.stdlib_module_names}


def imports(path, top_only=False):
    """Dotted names of all that a file imports; at module level only, or anywhere in it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set()
    for node in tree.body if top_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def knows(path, *packages):
    return {name for name in imports(path) if name in packages or name.startswith(tuple(f"{p}." for p in packages))}


MODELS = ("minillm.np", "minillm.pt")
TOOLS = tuple(
    f"minillm.{name}" for name in ("backend", "checkpoint", "cli", "commands", "demo", "train", "generate", "interop")
)
FORBIDDEN = {
    "text": (*MODELS, *TOOLS, "minillm.data", "minillm.evaluate", "torch"),
    "data": (*MODELS, *TOOLS, "minillm.evaluate", "torch"),
    "baselines": (*MODELS, *TOOLS, "torch"),
    "np": (*TOOLS, "minillm.pt", "minillm.text", "minillm.data", "torch"),
    "pt": (*TOOLS, "minillm.np", "minillm.text", "minillm.data"),
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_import_rules(path):
    folder = path.relative_to(PACKAGE).parts[0]
    assert not knows(path, "book", "exercises", "solutions", "notebooks", "tests")
    assert not knows(path, *FORBIDDEN.get(folder, ()))
    at_top = {name.split(".")[0] for name in imports(path, top_only=True)}
    allowed = CORE | ({"torch"} if folder == "pt" else set())
    assert at_top <= allowed, "import it inside the function that needs it"
    if folder == "__init__.py":
        assert not imports(path)


def test_the_rules_see_the_source():
    assert "torch" in imports(PACKAGE / "pt" / "gpt.py", top_only=True)
    assert knows(PACKAGE / "backend.py", "minillm.np", "minillm.pt") >= {"minillm.np.gpt", "minillm.pt.gpt"}
    assert "matplotlib.figure" in imports(PACKAGE / "canvas.py") - imports(PACKAGE / "canvas.py", top_only=True)
    assert {path.parent.name for path in FILES} >= {"minillm", *FORBIDDEN}
