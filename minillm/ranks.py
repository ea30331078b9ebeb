"""Several processes that train one model together, as torchrun starts them: which of them is this one?

One process needs nothing of the others: `Ranks` answers for it. Several talk in minillm/pt/distributed.py.
"""

import os


def count() -> int:
    """Processes in all, 1 unless torchrun has started this one."""
    return int(os.environ.get("WORLD_SIZE", 1)) if "MASTER_ADDR" in os.environ else 1


def index() -> int:
    """This process's number, from 0; the first alone writes and prints."""
    return int(os.environ.get("RANK", 0)) if count() > 1 else 0


def local_index() -> int:
    """Its number on this machine, which is the number of its card."""
    return int(os.environ.get("LOCAL_RANK", 0)) if count() > 1 else 0


class Ranks:
    """What a training asks of the processes that share it; here there is one."""

    index, count = 0, 1

    def total(self, value: float) -> float:
        """The sum over all processes."""
        return value

    def any(self, flag: bool) -> bool:
        """Whether it is so in any process: all then do the same."""
        return flag
