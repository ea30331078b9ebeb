"""A second copy of a model that computes beside the first: weights shared, gradients its own.

On Linux the copy lives in a process of its own, forked from this one, with weights and gradients in shared
memory. Threads have to take turns at Python's global lock between any two NumPy calls, which costs a small
model a third of its speed. Where forking is not safe (macOS, Windows) the copy lives in a thread.
"""

import contextlib
import copy
import mmap
import multiprocessing
import os
import select
import signal
import sys
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, ClassVar

import numpy as np

from minillm.np.cores import stay_on
from minillm.np.param import Array, Module

CAN_FORK = sys.platform == "linux"
Job = Callable[..., float]  # job(model, *arguments) leaves gradients in the model and returns its loss


def in_shared_memory(array: Array) -> Array:
    """A copy in memory that this process and those forked from it later on both see."""
    shared = np.frombuffer(mmap.mmap(-1, max(array.nbytes, 1)), array.dtype, array.size).reshape(array.shape)
    shared[...] = array
    return shared


def is_shared(array: Array) -> bool:
    """Whether `in_shared_memory` made the array."""
    base = array.base
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, memoryview) and isinstance(base.obj, mmap.mmap)


class ThreadReplica:
    """A replica in a thread of this process."""

    def __init__(self, model: Module, job: Job, core: int) -> None:
        self.job = job
        self.model = copy.deepcopy(model, {id(p.data): p.data for p in model.parameters()})  # all but the weights
        self.pool = ThreadPoolExecutor(1, initializer=stay_on, initargs=(core,))

    def start(self, *arguments: Any) -> None:
        """Set the job going."""
        self.future = self.pool.submit(self.work, *arguments)

    def work(self, *arguments: Any) -> float:
        """The job, in the thread: not before one that was given up is done."""
        self.model.zero_grad()
        return self.job(self.model, *arguments)

    def finish(self) -> tuple[float, list[Array | None]]:
        """Wait for the job: its loss, and the gradients in the order of the parameters."""
        return self.future.result(), [p.grad for p in self.model.parameters()]


class ProcessReplica:
    """A replica in a process of its own, which ends when this one does or forgets it."""

    living: ClassVar[weakref.WeakSet["ProcessReplica"]] = weakref.WeakSet()

    def __init__(self, model: Module, job: Job, core: int) -> None:
        for p in model.parameters():
            if not is_shared(p.data):  # they are, if this model has replicas already
                p.data = in_shared_memory(p.data)
        self.grads = [in_shared_memory(np.zeros_like(p.data)) for p in model.parameters()]
        self.busy = False
        self.pipe, end = multiprocessing.Pipe()
        inherited = [self.pipe, *(other.pipe for other in self.living)]
        process = multiprocessing.get_context("fork").Process(
            target=serve, args=(model, job, self.grads, end, inherited, core), daemon=True
        )
        with warnings.catch_warnings():  # Python 3.12 warns of any fork beside threads; BLAS's survive it
            warnings.simplefilter("ignore", DeprecationWarning)
            process.start()
        end.close()
        self.living.add(self)

    def start(self, *arguments: Any) -> None:
        """Set the job going."""
        with told_of_its_end():
            if self.busy:  # an interrupt came before `finish`: that answer is of no use now
                self.pipe.recv()
            self.pipe.send(arguments)
        self.busy = True

    def finish(self) -> tuple[float, list[Array | None]]:
        """Wait for the job: its loss, and the gradients in the order of the parameters."""
        wait_awake(self.pipe)
        with told_of_its_end():
            answer = self.pipe.recv()
        self.busy = False
        if isinstance(answer, Exception):
            raise answer
        loss, has_grad = answer
        return loss, [grad if there else None for grad, there in zip(self.grads, has_grad, strict=True)]


@contextlib.contextmanager
def told_of_its_end() -> Iterator[None]:
    """Turn what a pipe says when nobody is at its other end into a sentence."""
    try:
        yield
    except (EOFError, ConnectionError):
        message = "a helper process of the training was ended from outside; is there memory enough?"
        raise RuntimeError(message) from None


def wait_awake(pipe: Connection, seconds: float = 0.05) -> None:
    """Wait for a message without going to sleep, though no longer than that: a core that slept comes back
    with cold caches, which on a virtual machine costs a small model a quarter of its step."""
    poller = select.poll()
    poller.register(pipe.fileno(), select.POLLIN)
    deadline = time.perf_counter() + seconds
    while not poller.poll(0) and time.perf_counter() < deadline:
        os.sched_yield()


def serve(
    model: Module, job: Job, grads: list[Array], pipe: Connection, inherited: list[Connection], core: int
) -> None:
    """The helper process: do the jobs that come through the pipe until its other end is closed."""
    for connection in inherited:  # or the other ends would never be closed
        connection.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process to handle
    stay_on(core)
    params = model.parameters()
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            wait_awake(pipe)
            arguments = pipe.recv()
            try:
                model.zero_grad()
                loss = job(model, *arguments)
                for p, shared in zip(params, grads, strict=True):
                    if p.grad is not None:
                        shared[...] = p.grad
                pipe.send((loss, [p.grad is not None for p in params]))
            except Exception as error:  # to be raised where the result is waited for
                pipe.send(error)
