"""Which processor to compute on."""

import torch

from minillm.errors import UserError


def pick_device(name: str | None = None) -> torch.device:
    """The device of that name: "cpu", "cuda", "mps", or the best there is for "auto" and None.

    UserError if this machine or this build of PyTorch does not have it.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name is None or name == "auto":
        return torch.device(next(kind for kind, there in present.items() if there))
    if name not in present:
        raise UserError(f"device is {name!r}; choose one of auto, {', '.join(sorted(present))}")
    if not present[name]:
        raise UserError(f"device {name!r} is not available to this PyTorch ({torch.__version__}); use cpu or auto")
    return torch.device(name)
