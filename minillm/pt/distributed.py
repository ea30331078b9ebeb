"""Several processes that train one model: PyTorch's process group, whole copies (DDP) or shares (FSDP2) of it.

torchrun starts the processes and tells each its number (minillm/ranks.py). Every process has the step's whole
batch, takes its rows, and all sum their gradients. Short messages between the processes (a loss, a request to stop)
go through gloo on the CPU, gradients on cards through NCCL.
"""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from minillm.errors import ProcessError
from minillm.ranks import Ranks, count

PATIENCE = timedelta(minutes=10)  # for the slowest process: compiling, writing a checkpoint
LOST = re.compile(r"gloo|nccl|connection (closed|reset|refused)|broken pipe|timed out|socket", re.IGNORECASE)


class Processes(Ranks):
    """This process among those of the group."""

    def __init__(self) -> None:
        self.index, self.count = dist.get_rank(), dist.get_world_size()

    def total(self, value: float) -> float:
        sums = torch.tensor(value, dtype=torch.float64)
        dist.all_reduce(sums)
        return sums.item()

    def any(self, flag: bool) -> bool:
        return self.total(float(flag)) > 0


@contextmanager
def processes(device: torch.device) -> Iterator[Ranks]:
    """Join the processes that torchrun has started; without it, one process alone. What is joined already serves.

    ProcessError: another process has ended while this one waited for it.
    """
    if count() == 1:
        yield Ranks()
        return
    if dist.is_initialized():  # whoever did that will also end it
        yield Processes()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield Processes()
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or LOST.search(str(error)):
            raise ProcessError(
                "another process of this training has ended (its own message, if it had time for one, stands above): "
                "the last checkpoint is whole; go on from it with --resume"
            ) from error
        raise
    else:
        dist.barrier()  # the first process still writes
        dist.destroy_process_group()


def replicate(model: nn.Module, device: torch.device) -> nn.Module:
    """A whole copy in each process, whose backward averages the gradients (Li et al. 2020, arXiv 2006.15704)."""
    ids = [device] if device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(model, device_ids=ids, gradient_as_bucket_view=True)


def shard(model: nn.Module, blocks: nn.ModuleList, device: torch.device) -> None:
    """Leave each process its share of every weight, in place; a block is whole only while it computes.

    Rajbhandari et al. 2020 (arXiv 1910.02054), Zhao et al. 2023 (arXiv 2304.11277). The weights are moved to
    the device share by share.
    """
    from torch.distributed.fsdp import fully_shard

    mesh = dist.init_device_mesh(device.type, (dist.get_world_size(),))
    for module in (*blocks, model):
        fully_shard(module, mesh=mesh, reshard_after_forward=True)  # also behind an evaluation, which has no backward


class Lockstep:
    """A model that is shared out, for generation: all processes go on with what the first one computed."""

    def __init__(self, model: Any) -> None:
        self.model, self.config, self.new_cache = model, model.config, model.new_cache

    def next_logits(self, ids: np.ndarray, kv: Any = None) -> np.ndarray:
        logits = torch.from_numpy(self.model.next_logits(ids, kv))
        dist.broadcast(logits, 0)
        return logits.numpy()


def whole(x: Tensor) -> Tensor:
    """A weight that may be shared out, put together; all processes must ask for it at once."""
    return x.full_tensor() if hasattr(x, "full_tensor") else x


def like(x: Tensor, array: np.ndarray) -> Tensor:
    """A whole array in the form of x: this process's share of it if x is shared out."""
    tensor = torch.from_numpy(array)
    if not hasattr(x, "full_tensor"):
        return tensor
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(x, DTensor)
    tensor = tensor.to(device=x.device, dtype=x.dtype)
    return distribute_tensor(tensor, x.device_mesh, x.placements, src_data_rank=None)


@contextmanager
def errors() -> Iterator[None]:
    """torch.distributed.checkpoint raises what no `except Exception` catches. ValueError: what one process met."""
    from torch.distributed.checkpoint import CheckpointException

    try:
        yield
    except CheckpointException as error:
        raise ValueError(str(error).strip().splitlines()[-1]) from error


def save_shares(folder: str, tensors: dict[str, Any]) -> None:
    """Write a folder of safetensors, a file a process, whatever their number when it is read. ValueError: it cannot."""
    from torch.distributed import checkpoint as dcp

    with errors():
        dcp.save(tensors, storage_writer=dcp.HuggingFaceStorageWriter(folder, save_distributed=True))


def load_shares(folder: str, tensors: dict[str, Any]) -> None:
    """Fill tensors, whole or shared out, from what save_shares wrote. ValueError: it does not fit."""
    from torch.distributed import checkpoint as dcp

    alone = not dist.is_initialized()
    with warnings.catch_warnings(), errors():
        warnings.simplefilter("ignore")  # that it is alone
        dcp.load(tensors, storage_reader=dcp.HuggingFaceStorageReader(folder), no_dist=alone)
