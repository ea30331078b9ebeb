"""Running the package in a process of its own, as a user does."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ENV = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "OMP_NUM_THREADS": "1"}


def python(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the interpreter; output is captured as text."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, env=ENV, capture_output=True, text=True, encoding="utf-8", timeout=600, **options)


def start_minillm(*arguments: object) -> subprocess.Popen[str]:
    """Start `python -m minillm` without waiting for it."""
    command = [sys.executable, "-m", "minillm", *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=ENV, stdout=pipe, stderr=pipe, text=True, encoding="utf-8")
