"""What `make lab` wants otherwise than Jupyter's defaults; arguments on the command line win over it."""

import os

import zmq

from book import start
from book.lab import ROOT, own_folder

c = get_config()  # noqa: F821  Jupyter runs this file with it

c.ServerApp.root_dir = str(ROOT)
c.LabApp.default_url = f"/lab/tree/{start.PLACE.as_posix()}"
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.ServerApp.answer_yes = True  # Ctrl-C asks nothing
c.ServerApp.log_level = c.LabApp.log_level = "ERROR"  # the address is shown all the same
if hasattr(os, "geteuid") and os.geteuid() == 0:
    c.ServerApp.allow_root = True  # a container; Jupyter refuses to start otherwise
if zmq.has("curve"):
    c.KernelManager.transport_encryption = "auto"  # without, each kernel prints a warning
if (home := own_folder()) is not None:
    c.LabApp.workspaces_dir = str(home / "workspaces")
    c.NotebookNotary.data_dir = str(home)
