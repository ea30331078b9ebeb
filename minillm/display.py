"""Show HTML in a notebook and the same as plain text anywhere else."""

import sys


def display(html: str, plain: str) -> None:
    """Show something that has both forms. Without a notebook or IPython the plain text is printed."""
    ipython = sys.modules.get("IPython")
    if ipython is None or ipython.get_ipython() is None:
        print(plain, flush=True)
        return
    from IPython.display import display as show

    show({"text/html": html, "text/plain": plain}, raw=True)
