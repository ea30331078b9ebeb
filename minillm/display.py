"""One output in several formats: a notebook shows the best that it can, anywhere else the plain text is printed."""

import sys
from collections.abc import Mapping
from typing import Any


def publish(bundle: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> None:
    """Show a bundle of formats by their MIME types, "text/plain" among them; metadata: of each format, by its type."""
    ipython = sys.modules.get("IPython")  # not imported is not in a notebook
    if ipython is None or ipython.get_ipython() is None:
        print(bundle["text/plain"], flush=True)
        return
    from IPython.display import display

    display(dict(bundle), metadata=dict(metadata or {}), raw=True)
