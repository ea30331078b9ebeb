"""The two back-ends behind one door: "np" (NumPy, always there) and "pt" (PyTorch, if installed).

Each gives a model, a trainer and plain NumPy arrays in and out; torch is only imported when "pt" is asked for.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minillm import checkpoint
from minillm.config import ModelConfig, TrainConfig
from minillm.errors import UserError

NAMES = ("np", "pt")


class Backend:
    """A GPT with its trainer, in NumPy or PyTorch."""

    def __init__(self, name: str, device: str = "auto") -> None:
        if name not in NAMES:
            raise UserError(f"backend is {name!r}; choose np (NumPy) or pt (PyTorch)")
        self.name, self.device = name, None
        if name == "pt":
            try:
                import torch  # noqa: F401
            except (ImportError, OSError) as error:  # OSError: a library that Windows cannot load
                missing = "is not installed" if isinstance(error, ModuleNotFoundError) else f"cannot start ({error})"
                raise UserError(f"PyTorch {missing}: pip install torch, or use --backend np") from None
            from minillm.pt.device import pick_device

            self.device = pick_device(device)
        elif device not in ("auto", "cpu"):
            raise UserError(f"device is {device!r}, but NumPy computes on the CPU: use --backend pt, or --device cpu")

    def gpt(self, config: ModelConfig, seed: int = 0) -> Any:
        """A GPT with fresh weights, float32; the same seed gives the same weights in both back-ends."""
        rng = np.random.default_rng(seed)
        if self.name == "np":
            from minillm.np.gpt import GPT

            return GPT(config, rng=rng)
        from minillm.pt.gpt import GPT as TorchGPT

        return TorchGPT(config, rng=rng, device=self.device)

    def trainer(self, model: Any, config: TrainConfig) -> Any:
        """What `step(x, y, step)` of the training loop is called on."""
        if self.name == "np":
            from minillm.np.train import Trainer

            return Trainer(model, config)
        from minillm.pt.train import Trainer as TorchTrainer

        return TorchTrainer(model, config)

    def load(self, folder: Path) -> tuple[checkpoint.Run, Any]:
        """The settings and the trained model in a run's folder. UserError as in checkpoint.py."""
        run = checkpoint.load_run(folder)
        model = self.gpt(run.model)
        self.load_weights(model, checkpoint.load_model(folder, run, shapes(model)))
        return run, model

    def describe(self) -> str:
        """What a person calls it."""
        return "NumPy" if self.name == "np" else f"PyTorch on {self.device}"

    def weights(self, model: Any) -> dict[str, np.ndarray]:
        """The model's weights by name, as NumPy arrays."""
        return self.arrays(model.state_dict())

    def load_weights(self, model: Any, weights: Mapping[str, np.ndarray]) -> None:
        model.load_state_dict(self.tensors(weights))

    def arrays(self, state: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Arrays or tensors by name -> NumPy arrays."""
        if self.name == "np":
            return dict(state)
        return {name: tensor.detach().cpu().numpy() for name, tensor in state.items()}

    def tensors(self, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """NumPy arrays by name -> what the back-end's load_state_dict takes."""
        if self.name == "np":
            return dict(arrays)
        import torch

        return {name: torch.from_numpy(array) for name, array in arrays.items()}


def shapes(model: Any) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a model's weights; they are the same in both back-ends."""
    return {name: tuple(array.shape) for name, array in model.state_dict().items()}
