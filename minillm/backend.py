"""The two back-ends behind one door: "np" (NumPy, always there) and "pt" (PyTorch, if installed).

Each gives a model, a trainer and plain NumPy arrays in and out; torch is only imported when "pt" is asked for.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from minillm import checkpoint
from minillm.config import ModelConfig, TrainConfig
from minillm.errors import UserError
from minillm.pt.engine import Engine, autocast
from minillm.ranks import Ranks, count, local_index

NAMES = ("np", "pt")


class Backend:
    """A GPT with its trainer, in NumPy or PyTorch. A `device` stands before the engine's own; NumPy has no engine."""

    def __init__(self, name: str, device: str = "auto", engine: Engine | None = None) -> None:
        if name not in NAMES:
            raise UserError(f"backend is {name!r}; choose np (NumPy) or pt (PyTorch)")
        self.name = name
        self.device: Any = None
        self.engine = engine or Engine()
        device = self.engine.device if device == "auto" else device
        if name == "pt":
            try:
                import torch
            except (ImportError, OSError) as error:  # OSError: a library that Windows cannot load
                missing = "is not installed" if isinstance(error, ModuleNotFoundError) else f"cannot start ({error})"
                raise UserError(f"PyTorch {missing}: pip install torch, or use --backend np") from None
            from minillm.pt.device import pick_device

            self.device = pick_device(device)
            if count() > 1 and self.device.type == "cuda":
                if local_index() >= torch.cuda.device_count():
                    cards = torch.cuda.device_count()
                    raise UserError(f"there are more processes than cards: use --nproc-per-node {cards}")
                self.device = torch.device("cuda", local_index())
        elif device not in ("auto", "cpu"):
            raise UserError(f"device is {device!r}, but NumPy computes on the CPU: use --backend pt, or --device cpu")
        elif named := [n for n, value in vars(self.engine).items() if n != "device" and value != getattr(Engine(), n)]:
            raise UserError(f"NumPy has no {', '.join(named)}: use --backend pt, or leave it out")

    def processes(self) -> AbstractContextManager[Ranks]:
        """Join the processes that torchrun has started, for a training; UserError with NumPy, which has one."""
        if self.name == "np":
            if count() > 1:
                raise UserError("NumPy trains in one process: use --backend pt under torchrun")
            return nullcontext(Ranks())
        from minillm.pt.distributed import processes

        return processes(self.device)

    def gpt(self, config: ModelConfig, seed: int | None = 0) -> Any:
        """A GPT with fresh weights, float32; the same seed gives the same weights in both back-ends. Without a seed
        matrices are zero: they are about to be filled."""
        rng: Any = Zeros() if seed is None else np.random.default_rng(seed)
        if self.name == "np":
            from minillm.np.gpt import GPT

            return GPT(config, rng=rng)
        from minillm.pt.gpt import GPT as TorchGPT

        # What is to be shared out need not fit on the card first.
        shared = count() > 1 and self.engine.parallel == "fsdp"
        return TorchGPT(config, rng=rng, device="cpu" if shared else self.device)

    def trainer(self, model: Any, config: TrainConfig, ranks: Ranks | None = None) -> Any:
        """What `step(x, y, step)` of the training loop is called on."""
        if self.name == "np":
            from minillm.np.train import Trainer

            return Trainer(model, config)
        from minillm.pt.train import Trainer as TorchTrainer

        return TorchTrainer(model, config, self.engine, ranks, self.device)

    def reading(self, trainer: Any) -> AbstractContextManager[Any]:
        """The precision that the trainer computes in, for measuring a text while it trains."""
        return nullcontext() if self.name == "np" else autocast(trainer.precision, self.device)

    def writer(self, model: Any, trainer: Any) -> Any:
        """The model in training as one that can write a sample, whoever holds its weights."""
        if not getattr(trainer, "sharded", False):
            return model
        from minillm.pt.distributed import Lockstep

        return Lockstep(model)

    def load(self, folder: Path) -> tuple[checkpoint.Run, Any]:
        """The settings and the trained model in a run's folder. UserError as in checkpoint.py."""
        run = checkpoint.load_run(folder)
        model = self.gpt(run.model, seed=None)
        self.load_weights(model, checkpoint.load_model(folder, run, shapes(model)))
        return run, model

    def describe(self) -> str:
        """What a person calls it."""
        return "NumPy" if self.name == "np" else f"PyTorch on {self.device}"

    def mfu(self, config: ModelConfig) -> Callable[[float], float] | None:
        """Tokens a second of a training -> share of the matrix peak of all its devices; None with NumPy."""
        if self.name == "np":
            return None
        from minillm.flops import flops_per_token
        from minillm.pt.engine import pick_precision
        from minillm.pt.mfu import matrix_peak

        precision = pick_precision(self.engine.precision, self.device)
        peak = matrix_peak(self.device, precision) * count()
        return lambda rate: rate * flops_per_token(config) / peak

    def weights(self, model: Any) -> dict[str, np.ndarray]:
        """The model's weights by name, as NumPy arrays."""
        return self.arrays(model.state_dict())

    def load_weights(self, model: Any, weights: Mapping[str, np.ndarray]) -> None:
        model.load_state_dict(self.tensors(weights, model.state_dict()))

    def arrays(self, state: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Arrays or tensors by name -> NumPy arrays; what several processes share is put together."""
        if self.name == "np":
            return dict(state)
        from minillm.pt.distributed import whole

        return {name: whole(tensor.detach()).cpu().numpy() for name, tensor in state.items()}

    def tensors(self, arrays: Mapping[str, np.ndarray], own: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """NumPy arrays by name -> what the back-end's load_state_dict takes, shared out as its `own` tensors are."""
        if self.name == "np":
            return dict(arrays)
        import torch

        from minillm.pt.distributed import like

        fits = {name for name, tensor in (own or {}).items() if name in arrays and tensor.shape == arrays[name].shape}
        return {n: like(own[n], a) if own and n in fits else torch.from_numpy(a) for n, a in arrays.items()}


class Zeros:
    """What a model asks of a random generator, without the wait."""

    def standard_normal(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.broadcast_to(np.float32(0), shape)


def shapes(model: Any) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a model's weights; they are the same in both back-ends."""
    return {name: tuple(array.shape) for name, array in model.state_dict().items()}
